"""What a model is to the functions that do its work."""

from typing import Any, Protocol

from torch import Tensor, nn
from transformers import GenerationConfig

from avsr.config import AvsrConfig
from avsr.model_parts.draft_decoder import DraftDecoder
from avsr.model_parts.streams import EncodedStreams
from avsr.model_parts.tied_ctc import CtcPieces


class ModelParts(Protocol):
    """The parts of :class:`~avsr.model.AvsrForConditionalGeneration`; None for one it lacks."""

    config: AvsrConfig
    generation_config: GenerationConfig
    language_model: Any
    audio_encoder: Any
    audio_projector: Any
    audio_ctc_head: Any
    video_encoder: Any
    video_projector: Any
    video_ctc_head: Any
    ctc_pieces: CtcPieces | None
    draft_decoder: DraftDecoder | None

    def get_input_embeddings(self) -> nn.Module:
        """The language model's embedding table."""
        ...

    def activate(self, adapters: tuple[str, ...]) -> None:
        """Let adapters act from now on, and no others."""
        ...

    def encode(
        self,
        input_features: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        video_values: Tensor | None = None,
        video_lengths: Tensor | None = None,
    ) -> EncodedStreams:
        """Run the encoders of what is given."""
        ...

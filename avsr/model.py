"""The model: audio and lip video encoders, compression, projectors and a language model with LoRA.

Shapes: B batch, T frames, S positions, L text tokens, D hidden size, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers.utils.generic import ModelOutput

from avsr.config import AvsrConfig
from avsr.model_files.checkpoint import load_model, save_model
from avsr.model_parts.generative_model import GenerativeModel
from avsr.model_parts.route import Route
from avsr.model_parts.rows import restore_rows, row_order
from avsr.model_parts.sequence import (
    TokenSequence,
    append_text,
    strip_bos,
    text_cross_entropy,
)
from avsr.model_parts.streams import StreamInputs
from avsr_adapters import decorrelation_loss


@dataclass
class AvsrOutput(ModelOutput):
    """What :class:`AvsrForConditionalGeneration` returns.

    Attributes:
        loss: scalar, ``ce_loss`` plus, while training, the weighted ``decorrelation_loss``.
        logits: [B, S, V] over prefix and text; a row's padding is on the left of its prefix and
            on the right of its text.
        ce_loss: scalar, mean cross-entropy of the text and its EOS.
        decorrelation_loss: scalar, unweighted; only where the model's weight for it is not 0.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    ce_loss: Tensor | None = None
    decorrelation_loss: Tensor | None = None


class AvsrForConditionalGeneration(GenerativeModel):
    """Audio, lip video or both to text, at compression rates chosen per call.

    The encoders and the language model are frozen; projectors, LoRA and CTC heads are trained.
    All public methods take either processor outputs (``input_features``, ``video_values``) or, to
    share encoders between calls, encoder outputs (``audio_features``, ``video_features``).
    """

    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # the Trainer averages over accumulated batches itself
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: AvsrConfig) -> None:
        super().__init__(config)
        self.post_init()

    def init_weights(self) -> None:
        """Nothing to do: every part has initialised itself, and LoRA's zeros must stay."""

    def train(self, mode: bool = True) -> "AvsrForConditionalGeneration":
        """Switch to training, leaving frozen encoders (dropout, BatchNorm) in evaluation."""
        super().train(mode)
        if mode:
            self.unfold_lora()  # no gradient reaches folded adapters
        for encoder in (self.audio_encoder, self.video_encoder):
            if encoder is not None and not any(
                parameter.requires_grad and ".lora_" not in name
                for name, parameter in encoder.named_parameters()
            ):
                encoder.eval()
        return self

    def forward(
        self,
        input_features: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        video_values: Tensor | None = None,
        video_lengths: Tensor | None = None,
        labels: Tensor | None = None,
        modality: str | Sequence[str] | None = None,
        audio_rate: int | Sequence[int | None] | None = None,
        video_rate: int | Sequence[int | None] | None = None,
        audio_features: Tensor | None = None,
        audio_frame_lengths: Tensor | None = None,
        video_features: Tensor | None = None,
        video_frame_lengths: Tensor | None = None,
        allow_untrained_rate: bool = False,
        logits_to_keep: int = 0,
    ) -> AvsrOutput:
        """Score the prefix (BOS ... prompt) or, with labels, prefix and text.

        Streams are those of :class:`~avsr.model_parts.streams.StreamInputs`.

        Args:
            labels: [B, L] text and EOS, -100 for padding; a BOS in front is ignored.
            modality: "audio", "video" or "av", for all rows or one per row; None: what is given.
            audio_rate: trained rate, for all rows or one per row; None: the finest.
            video_rate: likewise.
            allow_untrained_rate: use the nearest trained rate's projector and adapters.
            logits_to_keep: only the last positions' logits; 0 for all. With labels of length L,
                ``L + 1`` spares the prefix, whose logits the loss does not need.

        Raises:
            ValueError: untrained modality or rate, a missing stream.
        """
        inputs = StreamInputs(
            input_features=input_features,
            audio_lengths=audio_lengths,
            video_values=video_values,
            video_lengths=video_lengths,
            audio_features=audio_features,
            audio_frame_lengths=audio_frame_lengths,
            video_features=video_features,
            video_frame_lengths=video_frame_lengths,
        )
        routes = self._plan(inputs, modality, audio_rate, video_rate, allow_untrained_rate)
        sequence = prefix = self._build_prefix(self._encode(inputs, routes), routes)
        if labels is not None:
            labels = strip_bos(labels, self.config.bos_token_id)
            sequence = append_text(prefix, self._embed(labels.clamp(min=0)), labels)
        with_hidden_states = self.config.decorrelation_weight > 0 and labels is not None
        logits, hidden_states = self._run_language_model(
            sequence, routes, logits_to_keep, with_hidden_states
        )
        if labels is None:
            return AvsrOutput(logits=logits)
        return self._losses(logits, labels, prefix, hidden_states)

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory: str | Path, *, is_main_process: bool = True, **options: Any
    ) -> None:
        """Write a model folder, see :func:`avsr.model_files.checkpoint.save_model`."""
        if is_main_process:
            save_model(self, Path(save_directory), **options)

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path: str | Path, **options: Any
    ) -> "AvsrForConditionalGeneration":
        """Read a model folder or hub id, see :func:`avsr.model_files.checkpoint.load_model`."""
        return load_model(cls, pretrained_model_name_or_path, **options)

    def _run_language_model(
        self,
        sequence: TokenSequence,
        routes: Sequence[Route],
        logits_to_keep: int,
        with_hidden_states: bool,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return logits [B, S, V] and, if asked for, hidden states of each layer [B, S, D]."""
        groups = self._adapter_groups(routes)
        outputs = []
        for adapters, rows in groups.items():
            self._activate(adapters)
            part = sequence if len(groups) == 1 else sequence.rows(rows)
            outputs.append(
                self.language_model(
                    inputs_embeds=part.embeds,
                    attention_mask=None if part.mask is None else part.mask.long(),
                    position_ids=part.positions(),
                    use_cache=False,
                    output_hidden_states=with_hidden_states,
                    logits_to_keep=logits_to_keep,
                )
            )
        back = row_order(list(groups.values()))
        logits = restore_rows([output.logits for output in outputs], back)
        if not with_hidden_states:
            return logits, []
        layers = zip(*(output.hidden_states for output in outputs), strict=True)
        return logits, [restore_rows(layer, back) for layer in layers]

    def _losses(
        self, logits: Tensor, labels: Tensor, prefix: TokenSequence, hidden: list[Tensor]
    ) -> AvsrOutput:
        ce_loss = text_cross_entropy(logits, labels)
        output = AvsrOutput(loss=ce_loss, logits=logits, ce_loss=ce_loss)
        if not hidden:
            return output
        n_prefix = prefix.embeds.shape[1]
        output.decorrelation_loss = decorrelation_loss(
            [states[:, :n_prefix] for states in hidden],
            prefix.full_mask(),
            self.config.decorrelation_layers,
        )
        if self.training:
            weighted = self.config.decorrelation_weight * output.decorrelation_loss
            output.loss = ce_loss + weighted
        return output

"""The model: audio and lip video encoders, compression, projectors and a language model with LoRA.

What its methods do stands beside it, in :mod:`avsr.model_parts` and :mod:`avsr.decoding`.
Shapes: B batch, T frames, S positions, L text tokens, D hidden size, V vocabulary.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from avsr.config import AvsrConfig
from avsr.decoding.generation import AvsrGeneration
from avsr.decoding.options import SearchOptions, take_search
from avsr.decoding.search_settings import SearchSettings
from avsr.decoding.sequence import TokenSequence, append_text, strip_bos, text_cross_entropy
from avsr.model_files.checkpoint import load_model, save_model
from avsr.model_parts.adapters import adapters_of, score_sequence
from avsr.model_parts.build import (
    build_ctc_pieces,
    build_draft_decoder,
    build_language_model,
    build_lora,
    build_stream,
    round_rotary_frequencies,
    special_tokens,
)
from avsr.model_parts.encode import encode_audio, encode_video
from avsr.model_parts.generate import generate, search_inputs
from avsr.model_parts.inputs import read_inputs
from avsr.model_parts.prefix import Drafts, build_prefix, shorten
from avsr.model_parts.streams import EncodedStreams
from avsr.route import MODALITIES, Route
from avsr.trained_route import trained_rate
from avsr_adapters import decorrelation_loss


@dataclass
class AvsrOutput(ModelOutput):
    """What :class:`AvsrForConditionalGeneration` returns.

    Attributes:
        loss: scalar, mean cross-entropy of the text and its EOS.
        logits: [B, S, V] over prefix and text; a row's padding is on the left of its prefix and
            on the right of its text.
        decorrelation_loss: scalar, unweighted and no part of ``loss``; only where asked for.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    decorrelation_loss: Tensor | None = None


class AvsrForConditionalGeneration(PreTrainedModel):
    """Audio, lip video or both to text, at compression rates chosen per call.

    The encoders and the language model are frozen; projectors, LoRA and CTC heads are trained.
    Searches begin from ``generation_config``: its ``num_beams``, ``ctc_weight``,
    ``ctc_weight_without_draft``, ``ctc_texts`` and ``draft_margin`` are used where a call names
    none; ``words_only`` says that recognition writes lower case and no punctuation.
    """

    config_class = AvsrConfig
    config: AvsrConfig
    generation_config: GenerationConfig
    main_input_name = "input_features"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # the Trainer averages over accumulated batches itself
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: AvsrConfig) -> None:
        super().__init__(config)
        self.audio_encoder, self.audio_projector, self.audio_ctc_head = build_stream(
            config, "audio"
        )
        self.video_encoder, self.video_projector, self.video_ctc_head = build_stream(
            config, "video"
        )
        self.ctc_pieces = build_ctc_pieces(config)
        self.draft_decoder = build_draft_decoder(config)
        self.language_model = build_language_model(config)
        if config.prompt_embeddings:
            for modality in MODALITIES:
                n_tokens = len((config.prompt_ids or {}).get(modality, ()))
                shape = (1, n_tokens, config.text_config.hidden_size)
                self.register_buffer(f"prompt_{modality}", torch.zeros(shape))
        frozen = (self.language_model, self.audio_encoder, self.video_encoder, self.draft_decoder)
        for part in frozen:
            for name, parameter in () if part is None else part.named_parameters():
                parameter.requires_grad_(".lora_" in name)
        self.lora = build_lora(config, self.language_model)
        if config.official_numerics:
            round_rotary_frequencies(self.language_model)
        self.generation_config = special_tokens(config)
        self.post_init()

    def init_weights(self) -> None:
        """Nothing to do: every part has initialised itself, and LoRA's zeros must stay."""

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

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

    def encode(
        self,
        input_features: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        video_values: Tensor | None = None,
        video_lengths: Tensor | None = None,
    ) -> EncodedStreams:
        """Run the encoders of what is given, so that several calls can share their outputs.

        Args:
            input_features: [B, M, F] log-mel; exact or padded to 30 s, as the config says.
            audio_lengths: [B] samples at 16 kHz; None when every frame is real.
            video_values: [B, T, 1, 88, 88] normalised mouth crops.
            video_lengths: [B] frames; None when every frame is real.

        Raises:
            ValueError: the model has no encoder for what is given.
        """
        audio = video = None
        if input_features is not None:
            audio = encode_audio(self.audio_encoder, self.config, input_features, audio_lengths)
        if video_values is not None:
            video = encode_video(self.video_encoder, self.config, video_values, video_lengths)
        return EncodedStreams(audio=audio, video=video)

    def get_audio_features(
        self, input_features: Tensor, audio_lengths: Tensor | None = None, *, rate: int
    ) -> Tensor:
        """Encode, compress and project audio: [B, S, D]. Tokens past a clip mean nothing."""
        streams = self.encode(input_features=input_features, audio_lengths=audio_lengths)
        return self._projected(streams, rate)

    def get_video_features(
        self, video_values: Tensor, video_lengths: Tensor | None = None, *, rate: int
    ) -> Tensor:
        """Encode, compress and project video: [B, S, D]. Tokens past a clip mean nothing."""
        streams = self.encode(video_values=video_values, video_lengths=video_lengths)
        return self._projected(streams, rate)

    def _projected(self, streams: EncodedStreams, rate: int) -> Tensor:
        (encoded,) = streams.present
        rate = trained_rate(self.config, encoded.stream, rate)
        return shorten(self, encoded, rate).embeds

    def forward(
        self,
        input_features: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        video_values: Tensor | None = None,
        video_lengths: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        drafts: Drafts | None = None,
        decorrelation_layers: str | None = None,
        logits_to_keep: int = 0,
        **asked: Any,
    ) -> AvsrOutput:
        """Score the prefix (BOS ... prompt) or, with labels, prefix and text.

        Args:
            input_features: [B, M, F] log-mel.
            audio_lengths: [B] samples at 16 kHz.
            video_values: [B, T, 1, 88, 88] normalised mouth crops.
            video_lengths: [B] frames.
            labels: [B, L] text and EOS, -100 for padding; a BOS in front is ignored.
            drafts: for each clip, the token ids of a text proposed by somebody else, or None.
            decorrelation_layers: with labels, also report the decorrelation loss over these layers,
                "paper" or "released", see :mod:`avsr_adapters.decorrelation`.
            logits_to_keep: only the last positions' logits; 0 for all. With labels of length L,
                ``L + 1`` spares the prefix, whose logits the loss does not need.
            asked: ``streams`` in place of the first four, and ``modality``, ``audio_rate`` and
                ``video_rate``, or ``route`` in their place, see
                :func:`avsr.model_parts.inputs.read_inputs`.

        Raises:
            ValueError: untrained modality or rate, a missing stream.
        """
        streams, routes = read_inputs(
            self,
            input_features=input_features,
            audio_lengths=audio_lengths,
            video_values=video_values,
            video_lengths=video_lengths,
            **asked,
        )
        prefix = build_prefix(self, streams, routes, drafts)
        if labels is None:
            logits, _ = score_sequence(self, prefix, routes, logits_to_keep=logits_to_keep)
            return AvsrOutput(logits=logits)
        labels = strip_bos(labels, self.config.bos_token_id)
        text = self.get_input_embeddings()(labels.clamp(min=0))
        logits, hidden = score_sequence(
            self,
            append_text(prefix, text, labels),
            routes,
            logits_to_keep=logits_to_keep,
            with_hidden_states=decorrelation_layers is not None,
        )
        output = AvsrOutput(loss=text_cross_entropy(logits, labels), logits=logits)
        if decorrelation_layers is not None:
            before_text = [states[:, : prefix.embeds.shape[1]] for states in hidden]
            output.decorrelation_loss = decorrelation_loss(
                before_text, prefix.full_mask(), decorrelation_layers
            )
        return output

    @torch.no_grad()
    def generate(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, **inputs: Any
    ) -> Tensor:
        """Transcribe by greedy (one beam) or beam search; never samples.

        Args:
            inputs: streams, modality, rates and drafts as in :meth:`forward` (labels are ignored),
                and how
                to search: ``search``, or its fields as keywords (``num_beams``, ``ctc_weight``,
                ``draft``, ``max_new_tokens``), see :class:`~avsr.decoding.options.SearchOptions`.

        Returns:
            [B, L] new token ids, padded after EOS.
        """
        return self.generate_with_scores(**inputs).sequences

    @torch.no_grad()
    def generate_with_scores(self, **inputs: Any) -> AvsrGeneration:
        """Like :meth:`generate`, with the log-probability of every token."""
        return generate(self, *self._search_call(inputs))

    @torch.no_grad()
    def search_inputs(self, **inputs: Any) -> tuple[TokenSequence, SearchSettings]:
        """What a search starts from, for measuring or for a search of one's own.

        Takes what :meth:`generate` takes, the same route for all clips; its adapters act from now
        on.
        """
        streams, routes, search, drafts = self._search_call(inputs)
        self.activate(adapters_of(self.config, routes[0]))
        return search_inputs(self, streams, routes, search, drafts)

    def _search_call(
        self, inputs: dict[str, Any]
    ) -> tuple[EncodedStreams, list[Route], SearchOptions, Drafts | None]:
        search, asked = take_search(inputs)
        asked.pop("labels", None)
        drafts = asked.pop("drafts", None)
        return *read_inputs(self, **asked), search, drafts

    def activate(self, adapters: tuple[str, ...]) -> None:
        """Let adapters act from now on, and no others."""
        if self.lora is not None:
            self.lora.activate(adapters)

    def fold_lora(self, adapters: tuple[str, ...]) -> None:
        """Add adapters, named by :meth:`adapters_of`, to the language model's weights.

        Pays from a few decoding steps on. They stay folded until :meth:`unfold_lora`, training or
        a call that needs other adapters; nothing but speed depends on it.
        """
        if self.lora is not None:
            self.lora.fold(adapters)

    def unfold_lora(self) -> None:
        """Restore the language model's weights exactly."""
        if self.lora is not None:
            self.lora.unfold()

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

"""The model: audio and lip video encoders, compression, projectors and a language model with LoRA.

Shapes: B batch, T frames, S positions, L text tokens, D hidden size, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.utils.generic import ModelOutput

from avsr.checkpoint import load_model, save_model
from avsr.config import MODALITIES, AvsrConfig
from avsr.generation import (
    AvsrGeneration,
    cut_to_budgets,
    decoding_config,
    generate_tokens,
    merge_generations,
)
from avsr.route import Route, nearest_rate, plan_routes
from avsr.rows import group_rows, restore_rows, row_order
from avsr.sequence import (
    Span,
    TokenSequence,
    append_text,
    join_spans,
    merge_rows,
    strip_bos,
    text_cross_entropy,
    token_budget,
)
from avsr.stream_encoders import StreamEncoders
from avsr.streams import EncodedStreams, StreamInputs
from avsr_adapters import (
    LoraAdapters,
    active_adapters,
    adapter_names,
    decorrelation_loss,
    linear_layer_names,
)


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


class AvsrForConditionalGeneration(StreamEncoders):
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
        text_config = config.text_config
        self.language_model = AutoModelForCausalLM.from_config(
            text_config, dtype=torch.get_default_dtype()
        )
        # A base model's own generation settings may ask for sampling; decoding never samples.
        self.language_model.generation_config = GenerationConfig(
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
        )
        if config.prompt_embeddings:
            for modality in MODALITIES:
                n_tokens = len((config.prompt_ids or {}).get(modality, ()))
                shape = (1, n_tokens, text_config.hidden_size)
                self.register_buffer(f"prompt_{modality}", torch.zeros(shape))
        self._freeze_base_models()
        self.lora = self._build_lora()
        if config.official_numerics:
            self.round_rotary_frequencies()
        self.post_init()

    def init_weights(self) -> None:
        """Nothing to do: every part has initialised itself, and LoRA's zeros must stay."""

    def _build_lora(self) -> LoraAdapters | None:
        config = self.config
        if config.lora_strategy is None:
            return None
        names = adapter_names(
            config.lora_strategy, config.tasks, config.audio_rates, config.video_rates
        )
        return LoraAdapters(
            self.language_model,
            names,
            rank=config.lora_rank,
            scaling=config.lora_scaling,
            target_modules=config.lora_target_modules or linear_layer_names(self.language_model),
            dropout=config.lora_dropout,
        )

    def _freeze_base_models(self) -> None:
        for part in (self.language_model, self.audio_encoder, self.video_encoder):
            if part is not None:
                for name, parameter in part.named_parameters():
                    parameter.requires_grad_(".lora_" in name)

    def train(self, mode: bool = True) -> "AvsrForConditionalGeneration":
        """Switch to training, leaving frozen encoders (dropout, BatchNorm) in evaluation."""
        super().train(mode)
        for encoder in (self.audio_encoder, self.video_encoder):
            if encoder is not None and not any(
                parameter.requires_grad and ".lora_" not in name
                for name, parameter in encoder.named_parameters()
            ):
                encoder.eval()
        return self

    def round_rotary_frequencies(self) -> None:
        """Round the language model's rotary frequencies to bfloat16, as published runs did."""
        for module in self.language_model.modules():
            for name in ("inv_freq", "original_inv_freq"):
                frequencies = getattr(module, name, None)
                if isinstance(frequencies, Tensor):
                    frequencies.copy_(frequencies.to(torch.bfloat16))

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

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

        Streams are those of :class:`~avsr.streams.StreamInputs`.

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

    @torch.no_grad()
    def generate(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *, num_beams: int = 1, max_new_tokens: int | None = None, **inputs: Any
    ) -> Tensor:
        """Transcribe by greedy (one beam) or beam search; never samples.

        Args:
            num_beams: width of the search.
            max_new_tokens: bound on the tokens of each row; None: by its clip's duration.
            inputs: streams, modality and rates as in :meth:`forward`; labels are ignored.

        Returns:
            [B, L] new token ids, padded after EOS.
        """
        return self._generate(num_beams, max_new_tokens, scores=False, **inputs).sequences

    @torch.no_grad()
    def generate_with_scores(
        self, *, num_beams: int = 1, max_new_tokens: int | None = None, **inputs: Any
    ) -> AvsrGeneration:
        """Like :meth:`generate`, with the log-probability of every token."""
        return self._generate(num_beams, max_new_tokens, scores=True, **inputs)

    def fold_lora(
        self, modality: str, audio_rate: int | None = None, video_rate: int | None = None
    ) -> None:
        """Add the adapters of one modality and pair of rates to the language model's weights.

        Until :meth:`unfold_lora`, calls that need other adapters are errors.
        """
        if self.lora is not None:
            route = plan_routes(
                self.config, 1, modality, audio_rate, video_rate, given=("audio", "video")
            )[0]
            self.lora.fold(self._adapters(route))

    def unfold_lora(self) -> None:
        """Restore the language model's weights exactly."""
        if self.lora is not None:
            self.lora.unfold()

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory: str | Path, *, is_main_process: bool = True, **options: Any
    ) -> None:
        """Write a model folder, see :func:`avsr.checkpoint.save_model`."""
        if is_main_process:
            save_model(self, Path(save_directory), **options)

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path: str | Path, **options: Any
    ) -> "AvsrForConditionalGeneration":
        """Read a model folder or hub id, see :func:`avsr.checkpoint.load_model`."""
        return load_model(cls, pretrained_model_name_or_path, **options)

    def _plan(
        self,
        inputs: StreamInputs,
        modality: str | Sequence[str] | None,
        audio_rate: int | Sequence[int | None] | None,
        video_rate: int | Sequence[int | None] | None,
        allow_untrained_rate: bool,
    ) -> list[Route]:
        given = [name for name in ("audio", "video") if getattr(inputs, name) is not None]
        return plan_routes(
            self.config,
            inputs.batch_size,
            modality,
            audio_rate,
            video_rate,
            given=given,
            allow_untrained_rate=allow_untrained_rate,
        )

    def _build_prefix(self, streams: EncodedStreams, routes: Sequence[Route]) -> TokenSequence:
        """BOS ... prompt of every row."""
        parts = []
        for route, rows in group_rows(routes).items():
            chosen = streams if len(rows) == len(routes) else streams.rows(rows)
            parts.append((rows, join_spans(self._spans(chosen, route), len(rows))))
        return merge_rows(parts)

    def _spans(self, streams: EncodedStreams, route: Route) -> list[Span]:
        config = self.config
        spans = []
        if config.bos_token_id is not None:
            spans.append(self._token_span(config.bos_token_id))
        if route.has_audio:
            spans.append(self._token_span(config.audio_start_token_id))
            spans.append(self._shorten("audio", streams.audio, route.audio_rate))
            spans.append(self._token_span(config.audio_end_token_id))
        if route.has_video:
            spans.append(self._token_span(config.video_start_token_id))
            spans.append(self._shorten("video", streams.video, route.video_rate))
            spans.append(self._token_span(config.video_end_token_id))
        if config.prompt_embeddings:
            spans.append(Span(embeds=getattr(self, f"prompt_{route.modality}")[0]))
        else:
            spans.append(self._token_span(*(config.prompt_ids or {}).get(route.modality, ())))
        return spans

    def _token_span(self, *token_ids: int | None) -> Span:
        if None in token_ids:
            raise ValueError(
                "the configuration lacks the id of <audio>, </audio>, <video> or </video>"
            )
        device = self.language_model.get_input_embeddings().weight.device
        return Span(embeds=self._embed(torch.tensor(token_ids, dtype=torch.long, device=device)))

    def _embed(self, token_ids: Tensor) -> Tensor:
        return self.language_model.get_input_embeddings()(token_ids)

    def _adapters(self, route: Route) -> tuple[str, ...]:
        """Names of the adapters that serve a route; an untrained rate uses the nearest one's."""
        config = self.config
        if config.lora_strategy is None:
            return ()
        audio_rate, video_rate = route.audio_rate, route.video_rate
        return active_adapters(
            config.lora_strategy,
            route.task,
            None if audio_rate is None else nearest_rate(config.audio_rates, audio_rate),
            None if video_rate is None else nearest_rate(config.video_rates, video_rate),
        )

    def _adapter_groups(self, routes: Sequence[Route]) -> dict[tuple[str, ...], list[int]]:
        """Row numbers by the adapters they need."""
        return group_rows([self._adapters(route) for route in routes])

    def _activate(self, adapters: tuple[str, ...]) -> None:
        if self.lora is not None:
            self.lora.activate(adapters)

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

    def _generate(
        self,
        num_beams: int,
        max_new_tokens: int | None,
        *,
        scores: bool,
        modality: str | Sequence[str] | None = None,
        audio_rate: int | Sequence[int | None] | None = None,
        video_rate: int | Sequence[int | None] | None = None,
        allow_untrained_rate: bool = False,
        labels: Tensor | None = None,
        **streams: Tensor,
    ) -> AvsrGeneration:
        inputs = StreamInputs(**streams)
        routes = self._plan(inputs, modality, audio_rate, video_rate, allow_untrained_rate)
        encoded = self._encode(inputs, routes)
        prefix = self._build_prefix(encoded, routes)
        per_second = self.config.max_tokens_per_second
        budgets = [
            max_new_tokens or token_budget(seconds, per_second) for seconds in encoded.durations_s()
        ]
        settings = decoding_config(
            self.language_model.generation_config,
            num_beams=num_beams,
            max_new_tokens=max(budgets),
            scores=scores,
        )
        groups = self._adapter_groups(routes)
        parts = []
        for adapters, rows in groups.items():
            self._activate(adapters)
            part = prefix if len(groups) == 1 else prefix.rows(rows)
            parts.append((rows, generate_tokens(self.language_model, part, settings)))
        merged = merge_generations(parts, settings)
        return cut_to_budgets(merged, budgets, settings)

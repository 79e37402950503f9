"""The model's back half: a language model with LoRA, and the prefix that it reads.

Shapes: B batch, S positions, D hidden size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig

from avsr.config import MODALITIES, AvsrConfig
from avsr.model_parts.route import Route, nearest_rate, plan_routes
from avsr.model_parts.rows import group_rows
from avsr.model_parts.sequence import Span, TokenSequence, join_spans, merge_rows
from avsr.model_parts.stream_encoders import StreamEncoders
from avsr.model_parts.streams import EncodedStreams, StreamInputs
from avsr_adapters import LoraAdapters, active_adapters, adapter_names, linear_layer_names


class AdaptedLanguageModel(StreamEncoders):
    """Encoders and the frozen language model behind them, adapted for each task and rates."""

    def __init__(self, config: AvsrConfig) -> None:
        super().__init__(config)
        text_config = config.text_config
        self.language_model = AutoModelForCausalLM.from_config(
            text_config, dtype=torch.get_default_dtype()
        )
        self.language_model.get_output_embeddings().register_forward_pre_hook(_contiguous)
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

    def round_rotary_frequencies(self) -> None:
        """Round the language model's rotary frequencies to bfloat16, as published runs did."""
        for module in self.language_model.modules():
            for name in ("inv_freq", "original_inv_freq"):
                frequencies = getattr(module, name, None)
                if isinstance(frequencies, Tensor):
                    frequencies.copy_(frequencies.to(torch.bfloat16))

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def adapters_of(
        self,
        modality: str,
        audio_rate: int | None = None,
        video_rate: int | None = None,
        *,
        allow_untrained_rate: bool = False,
    ) -> tuple[str, ...]:
        """Names of the adapters that serve one modality and pair of rates; empty without LoRA.

        Rows that the same adapters serve can be read together.
        """
        routes = plan_routes(
            self.config,
            1,
            modality,
            audio_rate,
            video_rate,
            given=("audio", "video"),
            allow_untrained_rate=allow_untrained_rate,
        )
        return self._adapters(routes[0])

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


def _contiguous(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Scored positions as a tensor of their own, with its strides.

    In bfloat16 a product with what was cut out takes a CPU hundreds of times longer,
    and copies all weights where there is one row.
    """
    return tuple(states.flatten().view(states.shape) for states in inputs)

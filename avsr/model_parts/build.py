"""The parts that a model is made of, as its configuration describes them."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig

from avsr.config import AvsrConfig
from avsr.model_parts.draft_decoder import DraftDecoder
from avsr.model_parts.tied_ctc import CtcPieces, TiedCtc
from avsr.route import Stream
from avsr_adapters import LoraAdapters, RateProjector, adapter_names, linear_layer_names
from avsr_frontends.avhubert import AvHubertEncoder
from avsr_frontends.whisper import WhisperAudioEncoder


def build_stream(config: AvsrConfig, stream: Stream) -> tuple[Any, Any, Any]:
    """Encoder, projector and CTC head of a stream; None for each that the model lacks."""
    if stream == "audio":
        if config.audio_config is None:
            return None, None, None
        width: int = config.audio_config.d_model
        encoder: nn.Module = WhisperAudioEncoder(config.audio_config)
        ctc, layer_norm = config.audio_ctc, config.audio_projector_layer_norm
    else:
        if config.video_config is None:
            return None, None, None
        width = config.video_config.hidden_size
        encoder = AvHubertEncoder(config.video_config)
        ctc, layer_norm = config.video_ctc, config.video_projector_layer_norm
    rates = config.rates(stream)
    projector = RateProjector(
        rates,
        [config.compressor.token_size(width, rate) for rate in rates],
        config.projector_hidden_size,
        config.text_config.hidden_size,
        per_rate=config.projector_per_rate,
        activation=config.projector_activation,
        layer_norm=layer_norm,
    )
    return encoder, projector, _ctc_head(config, ctc, width)


def _ctc_head(config: AvsrConfig, kind: bool | str, width: int) -> nn.Module | None:
    if kind == "tied":
        return TiedCtc(config.text_config.hidden_size)
    return nn.Linear(width, config.text_config.vocab_size + 1) if kind else None


def build_ctc_pieces(config: AvsrConfig) -> CtcPieces | None:
    """What tied CTC heads spell with; None for a model that has none."""
    if "tied" not in (config.audio_ctc, config.video_ctc):
        return None
    return CtcPieces(config.ctc_pieces or (), config.text_config.vocab_size)


def build_draft_decoder(config: AvsrConfig) -> DraftDecoder | None:
    """The audio encoder's own decoder, for a model that takes its drafts."""
    if config.draft is None:
        return None
    return DraftDecoder(config.audio_config, config.draft_start_ids or [])


def build_language_model(config: AvsrConfig) -> Any:
    """The language model, without LoRA."""
    language_model: Any = AutoModelForCausalLM.from_config(
        config.text_config, dtype=torch.get_default_dtype()
    )
    language_model.get_output_embeddings().register_forward_pre_hook(_contiguous)
    # A base model's own generation settings may ask for sampling; decoding never samples.
    language_model.generation_config = special_tokens(config)
    return language_model


def build_lora(config: AvsrConfig, language_model: nn.Module) -> LoraAdapters | None:
    """Adapters inside the language model, or None for a model without."""
    if config.lora_strategy is None:
        return None
    names = adapter_names(
        config.lora_strategy, config.tasks, config.audio_rates, config.video_rates
    )
    return LoraAdapters(
        language_model,
        names,
        rank=config.lora_rank,
        scaling=config.lora_scaling,
        target_modules=config.lora_target_modules or linear_layer_names(language_model),
        dropout=config.lora_dropout,
    )


def special_tokens(config: AvsrConfig) -> GenerationConfig:
    """Which tokens begin, end and fill texts."""
    return GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )


def round_rotary_frequencies(language_model: nn.Module) -> None:
    """Round the language model's rotary frequencies to bfloat16, as published runs did."""
    for module in language_model.modules():
        for name in ("inv_freq", "original_inv_freq"):
            frequencies = getattr(module, name, None)
            if isinstance(frequencies, Tensor):
                frequencies.copy_(frequencies.to(torch.bfloat16))


def _contiguous(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Scored positions as a tensor of their own, with its strides.

    In bfloat16 a product with what was cut out takes a CPU hundreds of times longer,
    and copies all weights where there is one row.
    """
    return tuple(states.flatten().view(states.shape) for states in inputs)

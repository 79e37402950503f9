"""The configuration of a converted model: from the checkpoint's layout and its base models."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from avsr.config import PROMPTS, AvsrConfig
from avsr.conversion.avhubert import build_video_config, check_same_encoder, read_base_encoder
from avsr.conversion.base_configs import (
    guess_audio_config,
    read_audio_config,
    read_text_config,
    read_tokenizer,
)
from avsr.conversion.keys import EMBEDDING
from avsr.conversion.layout import Layout, Tensors
from avsr.conversion.pickles import StoredTensor
from avsr.conversion.rates import choose_rates, stacking_rates
from avsr.errors import InputError
from avsr.tokenizer import add_model_tokens, plain_ids
from avsr_frontends.avhubert import AvHubertConfig

AVHUBERT_LORA_SCALING = 2.0  # fixed in the published code
_ALPHAS = {64: 8.0}  # LoRA divisor -> alpha of the published recipes ...
_USUAL_ALPHA = 4.0  # ... and of all others
_PUBLISHED_DIVISORS = (32, 64)


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """What a checkpoint does not say itself.

    Attributes:
        language_model: folder or hub id of the base language model (configuration, tokenizer).
        audio_encoder: folder or hub id of the base Whisper; None: published sizes.
        video_encoder: fairseq file, or folder, of the base AV-HuBERT; None: published sizes.
        audio_rates: trained audio rates in the order of the projectors; None: by file name.
        video_rates: trained video rates in the order of the projectors; None: by file name.
        modalities: what the model was trained on; None: decided from the checkpoint.
        lora_scaling: factor on the language model's LoRA; None: alpha 8 over a divisor of 64,
            otherwise alpha 4 over the divisor, as in the published recipes.
        official_numerics: the model reproduces the rounding of the published bfloat16 runs.
        dtype: type of the weights in the folder; None: as in the checkpoint.
        local_files_only: use no network.
    """

    language_model: str | Path
    audio_encoder: str | Path | None = None
    video_encoder: Path | None = None
    audio_rates: list[int] | None = None
    video_rates: list[int] | None = None
    modalities: list[str] | None = None
    lora_scaling: float | None = None
    official_numerics: bool = False
    dtype: torch.dtype | None = None
    local_files_only: bool = False


def build_config(
    tensors: Tensors, layout: Layout, options: ConversionOptions, path: Path
) -> tuple[AvsrConfig, PreTrainedTokenizerBase, list[str]]:
    """Put together what the checkpoint, its base models and the user say.

    Args:
        tensors: of the checkpoint.
        layout: of the checkpoint.
        options: what the user says.
        path: of the checkpoint, for messages.

    Returns:
        The configuration, the tokenizer with the added tokens, and notes on what was assumed.

    Raises:
        InputError: the base models do not fit the checkpoint, or rates are not known.
        ModelUnavailableError: a base model is not there.
    """
    offline = options.local_files_only
    text_config = read_text_config(options.language_model, local_files_only=offline)
    tokenizer = read_tokenizer(options.language_model, layout.vocab_size, local_files_only=offline)
    token_ids: dict[str, Any] = add_model_tokens(tokenizer)
    _check_vocabulary(text_config, tokenizer, layout, options, path)
    text_config.vocab_size = layout.vocab_size
    audio_config, video_config, notes = _encoder_configs(tensors, layout, options, path)
    scaling = options.lora_scaling
    if scaling is None and layout.lora_strategy is not None:
        scaling, note = lora_scaling(layout.hidden_size, layout.lora_rank)
        notes += [note] if note else []
    projector = next(iter(layout.projectors.values()))
    compression, rates = _rates(layout, audio_config, video_config, options, path)
    single = not projector.per_rate and all(len(values) == 1 for values in rates.values())
    config = AvsrConfig(
        audio_config=audio_config,
        video_config=video_config,
        text_config=text_config,
        modalities=list[str](options.modalities or layout.modalities),
        audio_rates=rates.get("audio", ()),
        video_rates=rates.get("video", ()),
        compression=compression,
        projector_hidden_size=projector.hidden_size,
        projector_per_rate=projector.per_rate,
        audio_projector_layer_norm="audio" in rates and layout.projectors["audio"].layer_norm,
        video_projector_layer_norm="video" in rates and layout.projectors["video"].layer_norm,
        lora_strategy=layout.lora_strategy,
        lora_rank=layout.lora_rank,
        lora_scaling=scaling or 0.0,
        audio_context="padded",
        trim_video_to_rate=single and "video" in rates,
        official_numerics=options.official_numerics,
        prompt_ids=_prompt_ids(tokenizer, layout, tensors, path),
        prompt_embeddings=bool(layout.prompt_lengths),
        dtype=options.dtype or tensors[EMBEDDING].dtype,
        **token_ids,
    )
    return config, tokenizer, notes


def _check_vocabulary(
    text_config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    layout: Layout,
    options: ConversionOptions,
    path: Path,
) -> None:
    """Embedding rows are the base vocabulary (or tokenizer) and the added tokens."""
    n_tokens = len(tokenizer)
    base: int = text_config.vocab_size  # pyright: ignore[reportAttributeAccessIssue]
    n_added = n_tokens - base if n_tokens > base else 0
    width: int = text_config.hidden_size  # pyright: ignore[reportAttributeAccessIssue]
    fits = layout.vocab_size in (n_tokens, base + n_added) and layout.vocab_size >= n_tokens
    if not fits or layout.hidden_size != width:
        rows = f"{n_tokens} tokens of its tokenizer, the added ones included"
        raise InputError(
            f"{path}: {EMBEDDING} is {[layout.vocab_size, layout.hidden_size]}, but "
            f"{options.language_model} needs {[n_tokens, width]} ({rows}): give the language model "
            "that the checkpoint was trained with"
        )


def _encoder_configs(
    tensors: Tensors, layout: Layout, options: ConversionOptions, path: Path
) -> tuple[PreTrainedConfig | None, PreTrainedConfig | None, list[str]]:
    audio = video = None
    notes: list[str] = []
    if "audio" in layout.projectors:
        if options.audio_encoder is None:
            audio = guess_audio_config(_below("audio_encoder.", tensors), path)
            notes.append(f"Whisper: assumed {audio.encoder_attention_heads} heads, as published")
        else:
            audio = read_audio_config(
                options.audio_encoder, local_files_only=options.local_files_only
            )
    if "video" in layout.projectors:
        inner = _below("video_encoder.", tensors)
        video, video_notes = _video_config(inner, options.video_encoder, path)
        notes += video_notes
    return audio, video, notes


def _video_config(
    tensors: Tensors, source: Path | None, path: Path
) -> tuple[AvHubertConfig, list[str]]:
    """Size AV-HuBERT by the checkpoint; the base encoder gives what weights do not show."""
    settings: dict[str, Any] = {}
    if source is not None:
        base = read_base_encoder(source)
        difference = check_same_encoder(tensors, base, source)
        if difference:
            raise InputError(f"{path}: {difference}: give the AV-HuBERT it was trained with")
        settings = base.settings
    config, notes = build_video_config(tensors, settings, path)
    config.lora_scaling = AVHUBERT_LORA_SCALING
    return config, notes


def _rates(
    layout: Layout,
    audio_config: Any,
    video_config: Any,
    options: ConversionOptions,
    path: Path,
) -> tuple[str, dict[str, list[int]]]:
    """Compression, and the rates of each stream that the model has."""
    widths = {"audio": audio_config and audio_config.d_model}
    widths["video"] = video_config and video_config.hidden_size
    stacked = {
        stream: stacking_rates(stream, projectors, widths[stream], path)
        for stream, projectors in layout.projectors.items()
    }
    is_stacked = any(rate > 1 for rates in stacked.values() for rate in rates)
    given = {"audio": options.audio_rates, "video": options.video_rates}
    rates = {
        stream: choose_rates(
            stream,
            projectors,
            stacked[stream] if is_stacked else None,
            given[stream],
            path,
            only_stream=len(layout.projectors) == 1,
        )
        for stream, projectors in layout.projectors.items()
    }
    return ("stack" if is_stacked else "average"), rates


def lora_scaling(hidden_size: int, bottleneck: int) -> tuple[float, str | None]:
    """Factor on adapters, which checkpoints do not store: alpha over the divisor.

    Args:
        hidden_size: of the language model.
        bottleneck: width of the adapters: ``hidden_size`` over the divisor.

    Returns:
        The factor, and a note where no published model has this divisor.
    """
    divisor = round(hidden_size / bottleneck)
    alpha = _ALPHAS.get(divisor, _USUAL_ALPHA)
    scaling = alpha / divisor
    if divisor in _PUBLISHED_DIVISORS:
        return scaling, None
    return scaling, (
        f"LoRA: assumed alpha {alpha:g} over {divisor} = {scaling:g}; if it was trained with "
        "another alpha, give its scaling"
    )


def _prompt_ids(
    tokenizer: PreTrainedTokenizerBase, layout: Layout, tensors: Tensors, path: Path
) -> dict[str, list[int]]:
    """Tokens of the prompts; of those alone that the checkpoint stores, where it stores any."""
    prompts = {name: plain_ids(tokenizer, text) for name, text in PROMPTS.items()}
    if not layout.prompt_lengths:
        return prompts
    for name, n_tokens in layout.prompt_lengths.items():
        if n_tokens != len(prompts[name]):
            published = "audiovisual" if name == "av" else name
            raise InputError(
                f"{path}: prompt_{published} is {list(tensors[f'prompt_{published}'].shape)}, but "
                f"the tokenizer makes {[1, len(prompts[name]), layout.hidden_size]} of "
                f'"{PROMPTS[name]}": give the language model it was trained with'
            )
    return {name: prompts[name] for name in layout.prompt_lengths}


def _below(prefix: str, tensors: Mapping[str, StoredTensor]) -> Tensors:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }

"""The configuration of a converted model: from the checkpoint's layout and its base models."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase, WhisperConfig

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
from avsr.conversion.rates import read_rates
from avsr.errors import InputError, Together, UsageError
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
        language_model: folder or hub id of the base language model (configuration, tokenizer);
            every checkpoint needs one.
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

    language_model: str | Path | None = None
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
        UsageError: the language model is not given.
        SeveralErrors: several of these.
    """
    together = Together()
    text = together.attempt(lambda: _text_parts(tensors, layout, options, path))
    audio_config = together.attempt(lambda: _audio_config(tensors, layout, options, path))
    video = together.attempt(lambda: _video_parts(tensors, layout, options, path))
    given = {"audio": options.audio_rates, "video": options.video_rates}
    shortening = together.attempt(lambda: read_rates(tensors, layout, given, path))
    together.check()
    assert text is not None
    assert video is not None
    assert shortening is not None
    text_config, tokenizer, token_ids, prompt_ids = text
    video_config, video_notes = video
    compression, rates = shortening
    notes: list[str] = []
    if audio_config is not None and options.audio_encoder is None:
        heads = audio_config.encoder_attention_heads
        notes.append(f"Whisper: assumed {heads} heads, as published")
    notes += video_notes
    scaling = options.lora_scaling
    if scaling is None and layout.lora_strategy is not None:
        scaling, note = lora_scaling(layout.hidden_size, layout.lora_rank)
        notes += [note] if note else []
    projector = next(iter(layout.projectors.values()))
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
        prompt_ids=prompt_ids,
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


def _text_parts(
    tensors: Tensors, layout: Layout, options: ConversionOptions, path: Path
) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase, dict[str, Any], dict[str, list[int]]]:
    """Configuration, tokenizer with the added tokens, their ids, and those of the prompts."""
    source, offline = options.language_model, options.local_files_only
    if source is None:
        message = f"{path}: its base language model is needed: give a folder or a hub id owner/name"
        raise UsageError(message, settings=("language_model",))
    config = read_text_config(source, local_files_only=offline)
    tokenizer = read_tokenizer(source, layout.vocab_size, local_files_only=offline)
    token_ids: dict[str, Any] = add_model_tokens(tokenizer)
    _check_vocabulary(config, tokenizer, layout, options, path)
    config.vocab_size = layout.vocab_size
    return config, tokenizer, token_ids, _prompt_ids(tokenizer, layout, tensors, path)


def _audio_config(
    tensors: Tensors, layout: Layout, options: ConversionOptions, path: Path
) -> WhisperConfig | None:
    """Of a model that hears."""
    if "audio" not in layout.projectors:
        return None
    if options.audio_encoder is None:
        return guess_audio_config(_below("audio_encoder.", tensors), path)
    return read_audio_config(options.audio_encoder, local_files_only=options.local_files_only)


def _video_parts(
    tensors: Tensors, layout: Layout, options: ConversionOptions, path: Path
) -> tuple[AvHubertConfig | None, list[str]]:
    """Of a model that sees: the configuration, and notes on what was assumed."""
    if "video" not in layout.projectors:
        return None, []
    return _video_config(_below("video_encoder.", tensors), options.video_encoder, path)


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

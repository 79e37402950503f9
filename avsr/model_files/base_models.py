"""Frozen base models: any Whisper, AV-HuBERT and causal language model, by folder or hub id.

A new model is described around them by :func:`configure` and filled by :func:`load_base_models`; a
folder that holds only trained parts gets them back by :func:`base_weights`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    WhisperConfig,
    WhisperModel,
)

from avsr.config import PROMPTS, AvsrConfig
from avsr.model_files.base_fetching import base_folder
from avsr.model_files.base_packages import BASE_PACKAGES
from avsr.model_files.weights import assign_weights, read_weights, state_names
from avsr.processing import AvsrProcessor
from avsr.tokenizer import (
    add_model_tokens,
    load_tokenizer,
    piece_spellings,
    plain_ids,
    whisper_start_ids,
)
from avsr_frontends.avhubert import AvHubertConfig, AvHubertEncoder

__all__ = [
    "added_rows",
    "base_weights",
    "configure",
    "is_base_weight",
    "load_base_models",
]

DRAFT_PROMPT = (" Draft:", "\nText:")  # around a draft
ADDED_ROWS = "added_rows."  # prefix of the vocabulary rows that a base model lacks
_BASE_LAYER = ".base_layer."  # what peft inserts into the names of adapted layers


def configure(
    language_model: str | Path,
    audio_encoder: str | Path | None = None,
    video_encoder: str | Path | None = None,
    *,
    revisions: dict[str, str] | None = None,
    local_files_only: bool = False,
    **settings: Any,
) -> tuple[AvsrConfig, AvsrProcessor]:
    """Describe a new model around base models; every size is read from their own files.

    Args:
        language_model: folder or hub id of any causal language model with its tokenizer, or a name
            of :mod:`avsr.model_files.base_packages`, which is fetched.
        audio_encoder: the same of a Whisper model; None for a model that cannot hear.
        video_encoder: folder of an AV-HuBERT encoder; None for a model that cannot see.
        revisions: revision of "text", "audio" and "video" hub ids.
        local_files_only: use nothing but files already on this machine.
        settings: other fields of :class:`~avsr.config.AvsrConfig`.

    Returns:
        The configuration, and the processor with the tokenizer that has the added tokens.
    """
    names = {"text": language_model, "audio": audio_encoder, "video": video_encoder}
    sources: dict[str, dict[str, Any]] = {
        part: {"name": str(name), "revision": (revisions or {}).get(part)}
        for part, name in names.items()
        if name is not None
    }
    folders = {
        part: base_folder(source["name"], offline=local_files_only)
        for part, source in sources.items()
    }
    options = _options(sources["text"], local_files_only)
    tokenizer = load_tokenizer(folders["text"], **options)
    text_config = AutoConfig.from_pretrained(folders["text"], **options)
    token_ids = add_model_tokens(tokenizer)
    draft_tokenizer = None
    if settings.get("draft"):
        assert "audio" in folders
        options = _options(sources["audio"], local_files_only)
        draft_tokenizer = load_tokenizer(folders["audio"], **options)
        around = [plain_ids(tokenizer, text) for text in DRAFT_PROMPT]
        settings["draft_prompt_ids"] = around
        settings["draft_start_ids"] = whisper_start_ids(draft_tokenizer)
    sources["text"]["vocab_size"] = text_config.vocab_size
    text_config.vocab_size = max(text_config.vocab_size, len(tokenizer))
    for stream, config_class in (("audio", WhisperConfig), ("video", AvHubertConfig)):
        if stream in sources:
            settings[f"{stream}_config"] = config_class.from_pretrained(
                folders[stream], **_options(sources[stream], local_files_only)
            )
    prompts = {**PROMPTS, **settings.pop("prompts", {})}
    config = AvsrConfig(
        text_config=text_config,
        prompts=prompts,
        prompt_ids={name: plain_ids(tokenizer, text) for name, text in prompts.items()},
        base_models=sources,
        **{**token_ids, **settings},
    )
    return config, AvsrProcessor.from_config(config, tokenizer, draft_tokenizer)


def load_base_models(
    model: PreTrainedModel, *, dtype: torch.dtype | None = None, local_files_only: bool = False
) -> None:
    """Fill a freshly made model's frozen parts with the base models its configuration names.

    Embeddings of added tokens keep their random values. Tied CTC heads get the language model's
    tokens spelt with their pieces, once: the model's folder keeps that.
    """
    added = added_rows(model, state_names(model))
    weights = base_weights(model, added, dtype=dtype, local_files_only=local_files_only)
    own = {name: t for name, t in state_names(model).items() if name not in weights}
    own = {name: tensor.detach() for name, tensor in own.items()}
    assign_weights(model, {**own, **weights}.items(), source="the base models", dtype=dtype)
    pieces: Any = model.ctc_pieces
    if pieces is not None:
        source = model.config.base_models["text"]
        folder = base_folder(source["name"], offline=local_files_only)
        tokenizer = load_tokenizer(folder, **_options(source, local_files_only))
        pieces.fill(piece_spellings(tokenizer, model.config.ctc_pieces))


def is_base_weight(name: str, base_models: Mapping[str, Any]) -> bool:
    """Whether a weight of the model belongs to one of these base models."""
    prefixes = tuple(prefix for part in base_models for prefix in _PREFIXES[part])
    return name.startswith(prefixes) and ".lora_" not in name


def added_rows(model: PreTrainedModel, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Vocabulary rows (input and, where separate, output) that the base model lacks."""
    n_base = model.config.base_models["text"]["vocab_size"]
    language_model: Any = model.language_model
    vocabulary = (
        language_model.get_input_embeddings().weight,
        language_model.get_output_embeddings().weight,
    )
    return {
        ADDED_ROWS + name: tensors[name][n_base:].detach().clone()
        for name, tensor in state_names(model).items()
        if any(tensor is weight for weight in vocabulary)
    }


def base_weights(
    model: PreTrainedModel,
    added: dict[str, Tensor],
    *,
    dtype: torch.dtype | None,
    local_files_only: bool,
) -> dict[str, Tensor]:
    """Load every base model that the configuration names, under the model's own names.

    Args:
        model: whose configuration is read.
        added: as from :func:`added_rows`.
        dtype: type to load; None for each base model's own.
        local_files_only: use nothing but files already on this machine.

    Raises:
        OSError: a base model is not there.
        ModelUnavailableError: one of :mod:`avsr.model_files.base_packages` cannot be fetched.
    """
    weights: dict[str, Tensor] = {}
    for part, source in model.config.base_models.items():
        folder = base_folder(source["name"], offline=local_files_only)
        if source["name"] in BASE_PACKAGES:
            weights.update(_read_stored(part, Path(folder)))
            continue
        options = _options(source, local_files_only) | {"dtype": dtype or "auto"}
        weights.update(_LOADERS[part](folder, options))
    renamed = {name.replace(_BASE_LAYER, "."): name for name in state_names(model)}
    weights = {renamed[name]: tensor for name, tensor in weights.items() if name in renamed}
    for name, rows in added.items():
        inner = name.removeprefix(ADDED_ROWS)
        if len(rows):
            weights[inner] = torch.cat([weights[inner], rows.to(weights[inner].dtype)])
    return weights


def _read_stored(part: str, folder: Path) -> Iterator[tuple[str, Tensor]]:
    """The weights of a fetched base model, mapped from its file; no model is built for them."""
    for name, tensor in read_weights(folder):
        for stored, ours in _STORED_NAMES[part]:
            if name.startswith(stored):
                yield ours + name.removeprefix(stored), tensor


def _load_language_model(name: str, options: dict[str, Any]) -> dict[str, Tensor]:
    return _named("language_model", AutoModelForCausalLM.from_pretrained(name, **options))


def _load_whisper(name: str, options: dict[str, Any]) -> dict[str, Tensor]:
    """The encoder, and the decoder for models that take its drafts."""
    whisper = WhisperModel.from_pretrained(name, **options)
    decoder = _named("draft_decoder.decoder", whisper.get_decoder())
    return _named("audio_encoder", whisper.get_encoder()) | decoder


def _load_video_encoder(name: str, options: dict[str, Any]) -> dict[str, Tensor]:
    return _named("video_encoder", AvHubertEncoder.from_pretrained(name, **options))


def _named(part: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{part}.{name}": tensor for name, tensor in module.state_dict().items()}


_STORED_NAMES = {  # prefixes in the files of base models, and in the model
    "text": [("", "language_model.")],
    "audio": [("model.encoder.", "audio_encoder."), ("model.decoder.", "draft_decoder.decoder.")],
}
_PREFIXES = {
    "text": ("language_model.",),
    "audio": ("audio_encoder.", "draft_decoder."),
    "video": ("video_encoder.",),
}
_LOADERS = {
    "text": _load_language_model,
    "audio": _load_whisper,
    "video": _load_video_encoder,
}


def _options(source: dict[str, Any], local_files_only: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"local_files_only": local_files_only}
    if source.get("revision"):
        options["revision"] = source["revision"]
    return options

"""Frozen base models: a language model, a Whisper and an AV-HuBERT, by folder, file or hub id."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel, WhisperModel

from avsr_frontends.avhubert import AvHubertEncoder

ADDED_ROWS = "added_rows."  # prefix of the embedding rows that a base model lacks
_EMBEDDING = "language_model.model.embed_tokens.weight"


def is_base_weight(name: str) -> bool:
    """Whether a weight of the model belongs to a frozen base model."""
    parts = ("language_model.", "audio_encoder.", "video_encoder.")
    return name.startswith(parts) and ".lora_" not in name


def split_added_rows(model: PreTrainedModel, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The embedding rows of tokens that were added to the base vocabulary."""
    n_base = model.config.base_models["text"]["vocab_size"]
    return {
        ADDED_ROWS + name: tensors[name][n_base:].clone()
        for name in _vocabulary_weights(model)
        if name in tensors
    }


def base_weights(
    model: PreTrainedModel,
    added_rows: dict[str, Tensor],
    *,
    dtype: torch.dtype | None,
    local_files_only: bool,
) -> dict[str, Tensor]:
    """Load the weights of every base model that the configuration names, under our names.

    Raises:
        OSError: a base model is not there.
    """
    options = {"dtype": dtype or "auto", "local_files_only": local_files_only}
    weights: dict[str, Tensor] = {}
    sources = model.config.base_models
    text = AutoModelForCausalLM.from_pretrained(
        sources["text"]["name"], revision=sources["text"].get("revision"), **options
    )
    lora_layers = _adapted_layers(model)
    for name, tensor in text.state_dict().items():
        path, _, leaf = f"language_model.{name}".rpartition(".")
        ours = f"{path}.base_layer.{leaf}" if path in lora_layers else f"{path}.{leaf}"
        added = added_rows.get(ADDED_ROWS + ours)
        weights[ours] = tensor if added is None else torch.cat([tensor, added.to(tensor.dtype)])
    if "audio" in sources:
        weights.update(_prefixed("audio_encoder.", load_audio_encoder(sources["audio"], **options)))
    if "video" in sources:
        weights.update(_prefixed("video_encoder.", load_video_encoder(sources["video"], **options)))
    return weights


def load_audio_encoder(source: dict[str, Any], **options: Any) -> dict[str, Tensor]:
    """State of a Whisper encoder."""
    whisper = WhisperModel.from_pretrained(
        source["name"], revision=source.get("revision"), **options
    )
    return whisper.get_encoder().state_dict()


def load_video_encoder(source: dict[str, Any], **options: Any) -> dict[str, Tensor]:
    """State of an AV-HuBERT encoder saved by ``AvHubertEncoder.save_pretrained``."""
    name = Path(source["name"])
    encoder = AvHubertEncoder.from_pretrained(name, revision=source.get("revision"), **options)
    return encoder.state_dict()


def _prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def _adapted_layers(model: PreTrainedModel) -> set[str]:
    suffix = ".base_layer.weight"
    return {name.removesuffix(suffix) for name in model.state_dict() if name.endswith(suffix)}


def _vocabulary_weights(model: PreTrainedModel) -> list[str]:
    return [_EMBEDDING, "language_model.lm_head.weight"]

"""The model of one cell: polished encoders' features, projectors, a language model with sinks."""

from pathlib import Path
from typing import Any

import torch
from pretrain import rotation
from transformers import LlamaForCausalLM

from avsr import AvsrConfig, AvsrForConditionalGeneration
from avsr.sinks.experiment import Cell

LORA_RANK = 16


def build_cell_model(cell: Cell, polished: Any, language_model_dir: Path) -> Any:
    """A model with fresh LoRA, the polished projectors and a pre-trained language model.

    A rate that the polished model lacks begins with the projector of its coarsest rate. A normed
    projector begins with the scale that the word embeddings have, so that both kinds begin alike.
    The encoders stay unused: training and measuring go by cached features.

    Args:
        cell: what to build.
        polished: the polished model of the grid recipe.
        language_model_dir: folder of ``pretrain.py``.
    """
    base = LlamaForCausalLM.from_pretrained(language_model_dir / "language_model")
    settings = polished.config.to_dict()
    for name in ("transformers_version", "architectures", "dtype", "model_type"):
        settings.pop(name, None)
    audio_rates, video_rates = cell.rates("audio"), cell.rates("video")
    settings |= {
        "text_config": base.config,
        "modalities": ["video", "av"],
        "audio_rates": audio_rates,
        "video_rates": video_rates,
        "lora_strategy": "shared",
        "lora_rank": LORA_RANK,
        "lora_scaling": 1.0,
        "lora_target_modules": None,
        "audio_projector_layer_norm": cell.layer_norm,
        "video_projector_layer_norm": cell.layer_norm,
        "audio_ctc": False,
        "video_ctc": False,
        "bos_token_id": settings["bos_token_id"] if cell.bos else None,
    }
    torch.manual_seed(cell.seed)
    model: Any = AvsrForConditionalGeneration(AvsrConfig(**settings))
    _load_language_model(model.language_model, base.state_dict())
    for stream, rates in (("audio", audio_rates), ("video", video_rates)):
        own = getattr(model, f"{stream}_projector").projectors
        given = getattr(polished, f"{stream}_projector").projectors
        for rate in rates:
            source = given[str(min(rate, max(int(r) for r in given)))]
            _copy_projector(own[str(rate)], source, base)
    return model


@torch.no_grad()
def _copy_projector(own: Any, source: Any, base: LlamaForCausalLM) -> None:
    """Take over a projector, turned as the embeddings of a wider language model are."""
    turn = rotation(source[2].weight.shape[0], own[2].weight.shape[0])
    own[0].load_state_dict(source[0].state_dict())
    own[2].weight.copy_(turn.T @ source[2].weight)
    own[2].bias.copy_(source[2].bias @ turn)
    if len(own) > 3:
        table = base.get_input_embeddings().get_parameter("weight")
        own[3].weight.fill_(table.std().item())


def _load_language_model(language_model: torch.nn.Module, weights: dict) -> None:
    """Load plain weights into a model whose linear layers LoRA has wrapped."""
    own = {k.replace(".base_layer.", "."): k for k in language_model.state_dict()}
    renamed = {own[name]: tensor for name, tensor in weights.items()}
    result = language_model.load_state_dict(renamed, strict=False)
    missing = [name for name in result.missing_keys if ".lora_" not in name]
    if missing or result.unexpected_keys:
        raise ValueError(
            f"language model weights differ in {(missing or result.unexpected_keys)[:3]}"
        )

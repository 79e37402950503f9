"""Model folders: self-contained, or only what was trained beside the names of the base models.

A self-contained folder holds ``config.json`` and every weight in ``model.safetensors``. A folder of
trained parts holds projectors, CTC heads, encoder LoRA and added embedding rows in
``model.safetensors``, each LoRA adapter of the language model as a peft folder below ``lora/``, and
names the frozen models and their revisions in ``config.json``; an encoder that is not named there
(one of our own) is stored whole. Both hold what searches begin from, such as ``num_beams`` and
``ctc_weight``, in ``generation_config.json``.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.utils import GENERATION_CONFIG_NAME

from avsr.config import AvsrConfig
from avsr.model_files.base_models import ADDED_ROWS, added_rows, base_weights, is_base_weight
from avsr.model_files.store import hub_folder
from avsr.model_files.weights import (
    assign_weights,
    read_safetensors,
    read_weights,
    save_weights,
    state_names,
)

LORA_FOLDER = "lora"
PEFT_PREFIX = "base_model.model."  # what peft puts before the names in an adapter file

Model = TypeVar("Model", bound=PreTrainedModel)


def save_model(
    model: PreTrainedModel,
    folder: Path,
    *,
    self_contained: bool | None = None,
    storage_dtype: torch.dtype | None = None,
    state_dict: dict[str, Tensor] | None = None,
) -> None:
    """Write a model folder.

    Args:
        model: an :class:`~avsr.model.AvsrForConditionalGeneration`.
        folder: created where missing.
        self_contained: store every weight; False leaves out the base models that
            ``config.base_models`` names, the language model among them. None: False where it does.
        storage_dtype: type of the stored weights, such as ``torch.float16`` for half the size; the
            model is still loaded in its own type.
        state_dict: weights to store in place of the model's own, as a sharded trainer gathers.

    Raises:
        ValueError: LoRA is folded into the weights, or the language model is not named.
    """
    config: Any = model.config
    if model.lora is not None and model.lora.folded is not None:  # pyright: ignore
        raise ValueError("LoRA is folded into the weights: unfold it before saving")
    is_named = "text" in config.base_models
    if self_contained is None:
        self_contained = not is_named
    if not self_contained and not is_named:
        raise ValueError("base_models in the configuration does not name the language model")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor if state_dict is None else state_dict[name]
        for name, tensor in state_names(model).items()
    }
    saved_config = AvsrConfig.from_dict(config.to_dict())
    saved_config.architectures = [type(model).__name__]
    saved_config.dtype = model.language_model.dtype  # pyright: ignore[reportAttributeAccessIssue]
    if self_contained:
        saved_config.base_models = {}
    saved_config.save_pretrained(folder)
    generation_config: Any = model.generation_config
    generation_config.save_pretrained(folder)
    if not self_contained:
        tensors = _save_adapters(model, tensors, folder, storage_dtype)
    save_weights(tensors, folder, storage_dtype)


def load_model(
    cls: type[Model],
    name_or_path: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    **changes: Any,
) -> Model:
    """Read a model folder, in evaluation mode.

    Weights stay mapped from the file as long as nothing writes to them.

    Args:
        cls: :class:`~avsr.model.AvsrForConditionalGeneration`.
        name_or_path: a folder, or a hub id.
        dtype: type of the weights; None: the type the model was saved from.
        revision: of the hub id.
        local_files_only: use nothing but files already on this machine.
        changes: configuration fields to change, such as ``official_numerics=True``.

    Raises:
        FileNotFoundError: no such folder, or a file is missing.
        ValueError: weights that do not fit the configuration.
    """
    folder = Path(name_or_path)
    if not folder.is_dir():
        try:
            folder = hub_folder(str(name_or_path), revision=revision, offline=local_files_only)
        except OSError as error:
            message = f"{name_or_path}: is no folder, and {error}"
            raise FileNotFoundError(message) from error
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds no config.json: it is no model folder")
    config = AvsrConfig.from_pretrained(folder, **changes)
    weights_dtype = _torch_dtype(dtype) or _torch_dtype(config.dtype)
    with init_empty_weights(include_buffers=False), no_init_weights():
        model = cls(config)
    _read_search_defaults(model, folder)
    model.language_model.tie_weights()  # pyright: ignore
    tensors = read_weights(folder)
    if config.base_models:
        tensors = _with_base_models(model, dict(tensors), folder, weights_dtype, local_files_only)
    assign_weights(model, tensors, source=str(folder), dtype=weights_dtype)
    return model.eval()


def _read_search_defaults(model: PreTrainedModel, folder: Path) -> None:
    """What searches begin from; folders of older versions keep it in ``config.json``."""
    if (folder / GENERATION_CONFIG_NAME).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
        return
    former = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for name, former_name in (("num_beams", "default_beams"), ("ctc_weight", "default_ctc_weight")):
        if former.get(former_name):
            setattr(model.generation_config, name, former[former_name])


def _torch_dtype(name: torch.dtype | str | None) -> torch.dtype | None:
    if isinstance(name, torch.dtype) or name in (None, "auto"):
        return None if name == "auto" else name  # pyright: ignore[reportReturnType]
    return getattr(torch, name)


def _save_adapters(
    model: PreTrainedModel,
    tensors: dict[str, Tensor],
    folder: Path,
    storage_dtype: torch.dtype | None,
) -> dict[str, Tensor]:
    """Write the LoRA folders; return the other trained tensors."""
    lora: Any = model.lora
    for name, adapter_config in () if lora is None else lora.configs.items():
        target = folder / LORA_FOLDER / name
        target.mkdir(parents=True, exist_ok=True)
        adapter_config.base_model_name_or_path = model.config.base_models["text"]["name"]
        adapter_config.save_pretrained(target)
        marker = f".{name}.weight"
        adapter = {
            _peft_name(key, name): tensors.pop(key)
            for key in list(tensors)
            if key.startswith("language_model.") and ".lora_" in key and key.endswith(marker)
        }
        save_weights(adapter, target, storage_dtype)
        (target / "model.safetensors").rename(target / "adapter_model.safetensors")
    named = model.config.base_models
    kept = {name: tensor for name, tensor in tensors.items() if not is_base_weight(name, named)}
    return {**kept, **added_rows(model, tensors)}


def _peft_name(key: str, adapter: str) -> str:
    inner = key.removeprefix("language_model.").replace(f".{adapter}.weight", ".weight")
    return PEFT_PREFIX + inner


def _with_base_models(
    model: PreTrainedModel,
    trained: dict[str, Tensor],
    folder: Path,
    dtype: torch.dtype | None,
    local_files_only: bool,
) -> list[tuple[str, Tensor]]:
    """All tensors of a model whose folder holds only the trained ones."""
    added = {name: trained.pop(name) for name in list(trained) if name.startswith(ADDED_ROWS)}
    tensors = base_weights(model, added, dtype=dtype, local_files_only=local_files_only)
    tensors.update(trained)
    lora: Any = model.lora
    for name in lora.names if lora is not None else ():
        file = folder / LORA_FOLDER / name / "adapter_model.safetensors"
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: the model folder is incomplete")
        for key, tensor in read_safetensors(file):
            inner = key.removeprefix(PEFT_PREFIX).removesuffix(".weight")
            tensors[f"language_model.{inner}.{name}.weight"] = tensor
    return list(tensors.items())

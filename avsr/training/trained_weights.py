"""Which weights learn, and those weights as a file of their own for resuming and averaging."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avsr.model_files.weights import state_names

TRAINED_FILE = "trained.safetensors"
_BASE_PARTS = ("audio_encoder", "video_encoder", "language_model")


def part_of(name: str) -> str:
    """The part, one of :data:`~avsr.training.settings.PARTS`, that a weight of a model is in."""
    if ".lora_" in name:
        return "lora" if name.startswith("language_model.") else "encoder_lora"
    if name.startswith(("audio_projector.", "video_projector.")):
        return "projectors"
    if name.startswith(("audio_ctc_head.", "video_ctc_head.")):
        return "ctc_heads"
    return next((part for part in _BASE_PARTS if name.startswith(f"{part}.")), "projectors")


def choose_trained(model: nn.Module, parts: Sequence[str]) -> None:
    """Let exactly these parts learn; their weights become float32.

    Raises:
        ValueError: the model has no weight in any of them.
    """
    present = set()
    for name, parameter in model.named_parameters():
        learns = part_of(name) in parts
        parameter.requires_grad_(learns)
        if learns:
            present.add(part_of(name))
            parameter.data = parameter.data.float()
    if not present:
        raise ValueError(f"this model has none of the parts to train ({', '.join(parts)})")


def trains_base_models(parts: Sequence[str]) -> bool:
    """Whether weights of a base model change, so that a folder must hold all of them."""
    return any(part in _BASE_PARTS for part in parts)


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights that learn, with the buffers (BatchNorm statistics) of encoders that do."""
    parameters = {name for name, tensor in model.named_parameters() if tensor.requires_grad}
    moving = {part_of(name) for name in parameters} & set(_BASE_PARTS)
    buffers = {name for name, _ in model.named_buffers() if part_of(name) in moving}
    chosen = parameters | buffers
    return {name: tensor for name, tensor in state_names(model).items() if name in chosen}


def save_trained(
    model: nn.Module, folder: Path, state_dict: Mapping[str, Tensor] | None = None
) -> None:
    """Write the weights that learn.

    Args:
        model: the model.
        folder: existing folder.
        state_dict: values in place of the model's own, as a sharded run gathers them.
    """
    tensors = {
        name: (tensor if state_dict is None else state_dict[name]).detach().cpu().contiguous()
        for name, tensor in trained_state(model).items()
    }
    save_file(tensors, folder / TRAINED_FILE)


def load_trained(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put weights that learn back, in place.

    Raises:
        ValueError: other weights learn in the model than those given.
    """
    own = trained_state(model)
    if set(own) != set(tensors):
        differing = sorted(set(own) ^ set(tensors))
        raise ValueError(
            f"the checkpoint does not fit: {len(differing)} weights differ, such as {differing[0]}"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def read_trained(folder: Path) -> dict[str, Tensor]:
    """Read what :func:`save_trained` wrote.

    Raises:
        FileNotFoundError: the folder is no checkpoint of a training run.
    """
    file = folder / TRAINED_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{folder} holds no {TRAINED_FILE}: it is no checkpoint")
    return load_file(file)

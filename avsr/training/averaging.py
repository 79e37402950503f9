"""Averages of checkpoints, every storage counted once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from avsr.training.trained_weights import read_trained


def average_states(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Average weights name by name, in float64.

    Names that share one storage in the first state (a tied embedding and output layer) are averaged
    once and share one tensor in the result. Whole numbers (counters) are taken from the last state.

    Raises:
        ValueError: no state is given, or names or shapes differ.
    """
    if not states:
        raise ValueError("there is nothing to average")
    averaged: dict[str, Tensor] = {}
    done: dict[tuple, Tensor] = {}
    for name, first in states[0].items():
        view = (first.untyped_storage().data_ptr(), first.storage_offset(), first.shape)
        key = (*view, first.stride(), first.dtype) if first.numel() else (name,)
        if key not in done:
            done[key] = _average([_tensor(state, name, first) for state in states])
        averaged[name] = done[key]
    extra = [name for state in states for name in state if name not in states[0]]
    if extra:
        raise ValueError(f"the checkpoints differ: not all have {extra[0]}")
    return averaged


def average_checkpoints(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Average the trained weights of checkpoints."""
    return average_states([read_trained(folder) for folder in folders])


def _tensor(state: Mapping[str, Tensor], name: str, like: Tensor) -> Tensor:
    tensor = state.get(name)
    if tensor is None or tensor.shape != like.shape:
        raise ValueError(f"the checkpoints differ: not all have {name} of {list(like.shape)}")
    return tensor


def _average(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[-1].clone()
    total = torch.zeros(tensors[0].shape, dtype=torch.float64)
    for tensor in tensors:
        total += tensor.cpu()
    return (total / len(tensors)).to(tensors[0].dtype)

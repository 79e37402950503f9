"""Tensors of a checkpoint on their way into a model folder: renamed, converted, and finite."""

from pathlib import Path

import torch
from torch import Tensor

from avsr.conversion.pickles import StoredTensor
from avsr.errors import InputError
from avsr.model_files.tensor_writer import StreamedTensor

_CHUNK = 4_000_000  # numbers checked at once; the check needs several bytes for each


def streamed(
    name: str, stored_name: str, stored: StoredTensor, dtype: torch.dtype | None, path: Path
) -> StreamedTensor:
    """A tensor of a checkpoint under a new name.

    Args:
        name: its new name.
        stored_name: what the checkpoint calls it, for messages.
        stored: its place in the checkpoint.
        dtype: floating-point numbers are converted to it; None keeps their own.
        path: of the checkpoint.

    Reading it raises :class:`~avsr.errors.InputError` where numbers are infinite or not numbers.
    """
    target = dtype if dtype is not None and stored.dtype.is_floating_point else stored.dtype

    def read() -> Tensor:
        tensor = stored.read()
        if tensor.is_floating_point():
            converted = tensor.to(target)
            n_bad = _count_not_finite(converted)
            if n_bad:
                finite_before = _count_not_finite(tensor) == 0
                raise InputError(
                    f"{path}: {stored_name} {list(stored.shape)} has {n_bad} values that are not "
                    f"finite{f' in {target}' if finite_before else ''}; the file is damaged or its "
                    "training diverged"
                )
            return converted
        return tensor

    return StreamedTensor(name=name, dtype=target, shape=stored.shape, read=read)


def _count_not_finite(tensor: Tensor) -> int:
    chunks = tensor.reshape(-1).split(_CHUNK)
    return sum(chunk.numel() - int(chunk.isfinite().sum()) for chunk in chunks)

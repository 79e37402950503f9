"""Weights on disk: streaming safetensors in and out of a model, names checked one by one."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from avsr.model_files.tensor_writer import StreamedTensor, write_safetensors

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


def save_weights(
    tensors: Mapping[str, Tensor],
    folder: Path,
    storage_dtype: torch.dtype | None = None,
) -> None:
    """Write tensors as one safetensors file, in the place of all that were there.

    The file is replaced only when the new one is complete, so that a model may be saved into the
    folder it was loaded (and is still mapped) from.

    Args:
        tensors: by name.
        folder: existing folder.
        storage_dtype: floating-point tensors are stored in it; None keeps each one's own.
    """
    write_safetensors(
        folder / WEIGHTS_FILE,
        [_stored_as(name, tensor.detach(), storage_dtype) for name, tensor in tensors.items()],
    )
    for old in (*folder.glob("model-*-of-*.safetensors"), folder / INDEX_FILE):
        old.unlink(missing_ok=True)


def _stored_as(name: str, tensor: Tensor, storage_dtype: torch.dtype | None) -> StreamedTensor:
    is_kept = storage_dtype is None or not tensor.is_floating_point()
    dtype = tensor.dtype if is_kept else storage_dtype
    assert dtype is not None
    return StreamedTensor(
        name=name, dtype=dtype, shape=tuple(tensor.shape), read=lambda: tensor.to(dtype)
    )


def read_weights(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a folder, mapped from disk and not copied.

    Raises:
        FileNotFoundError: the folder holds no weights.
        ValueError: a file is truncated or no safetensors file.
    """
    for file in weight_files(folder):
        yield from read_safetensors(file)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder.

    Raises:
        FileNotFoundError: there are none, or one that the index names is missing.
    """
    index = folder / INDEX_FILE
    if index.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        files = [folder / name for name in names]
    else:
        files = [folder / WEIGHTS_FILE]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: the model folder is incomplete")
    return files


def read_safetensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of one file, mapped from disk.

    Raises:
        ValueError: the file is truncated or no safetensors file.
    """
    try:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a dict)
                yield name, tensors.get_tensor(name)
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise ValueError(f"{file} is damaged or no safetensors file: {error}") from error


def state_names(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer, a tensor that several names share only once."""
    names: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            names[name] = tensor
    return names


def assign_weights(
    module: nn.Module,
    tensors: Iterable[tuple[str, Tensor]],
    *,
    source: str,
    dtype: torch.dtype | None = None,
) -> None:
    """Make tensors the weights of a module without copying them.

    Args:
        module: may be on the meta device.
        tensors: names and values; each name of the module exactly once, nothing else. A second
            name of a shared tensor (a tied output layer) may be left out or be given as well.
        source: what error messages call the origin.
        dtype: floating-point tensors are converted to it; None keeps each one's own.

    Raises:
        ValueError: missing, unknown or mis-shaped tensors, all of them listed.
    """
    owners = dict(module.named_modules())
    names_of: dict[int, list[str]] = {}  # the names that share one tensor
    for name, tensor in module.state_dict(keep_vars=True).items():
        names_of.setdefault(id(tensor), []).append(name)
    expected = {names[0]: names for names in names_of.values()}
    aliases = {name for names in names_of.values() for name in names[1:]}
    problems: list[str] = []
    unknown: list[str] = []
    for name, tensor in tensors:
        if name in aliases:
            continue
        names = expected.pop(name, None)
        if names is None:
            unknown.append(name)
            continue
        current = _named(owners, name)
        if current.shape != tensor.shape:
            problems.append(f"{name} is {list(tensor.shape)}, expected {list(current.shape)}")
            continue
        if dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        if isinstance(current, nn.Parameter):
            tensor = nn.Parameter(tensor, requires_grad=current.requires_grad)
        for shared in names:
            path, _, leaf = shared.rpartition(".")
            setattr(owners[path], leaf, tensor)
    if unknown:
        problems.append(f"unknown: {_listed(unknown)}")
    if expected:
        problems.append(f"missing: {_listed(list(expected))}")
    if problems:
        raise ValueError(f"{source} does not fit the model: {'; '.join(problems)}")


def _named(owners: Mapping[str, nn.Module], name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    return getattr(owners[path], leaf)


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

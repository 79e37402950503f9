"""Reading PyTorch checkpoint files without executing what is pickled in them.

A checkpoint is a pickle beside raw tensor bytes. Here the pickle can name only the few functions
that describe tensors, and those are replaced by ours; any other class or function it names becomes
an inert :class:`Opaque`. Tensor bytes are read one tensor at a time when asked for, so that files
larger than memory can be converted.
"""

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from avsr.errors import InputError

_CHUNK_BYTES = 16 * 1024**2
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a file of PyTorch before 1.6
_STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_NOT_CHECKPOINTS = {  # how files begin that people mistake for checkpoints
    b"<!doctype html": "is a web page, not a checkpoint: the download needs a browser",
    b"<html": "is a web page, not a checkpoint: the download needs a browser",
    b"version https://git-lfs": "is a Git LFS pointer, not the checkpoint: run git lfs pull",
}


class Opaque:
    """Stands in for an object of a class that is not loaded; keeps the state it was given."""

    state: Any = None

    def __new__(cls, *_args: object, **_options: object) -> "Opaque":
        return super().__new__(cls)

    def __init__(self, *_args: object, **_options: object) -> None: ...

    def __call__(self, *_args: object, **_options: object) -> "Opaque":
        return Opaque()

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _item: object) -> None: ...

    def extend(self, _items: object) -> None: ...

    def add(self, _item: object) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Storage:
    """A run of raw numbers in the file; several tensors may look at one."""

    key: str
    dtype: torch.dtype
    read: Callable[[], bytearray]


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor that is still in its file.

    Attributes:
        shape: its size.
        dtype: its type.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    storage: Storage
    offset: int
    stride: tuple[int, ...]

    def read(self) -> Tensor:
        """Read the numbers; nothing is kept here.

        Raises:
            InputError: the file ends early or its checksum is wrong.
        """
        raw = self.storage.read()
        values = (
            torch.frombuffer(raw, dtype=self.dtype) if raw else torch.empty(0, dtype=self.dtype)
        )
        try:
            return values.as_strided(self.shape, self.stride, self.offset)
        except RuntimeError as error:
            raise InputError(f"a tensor of shape {list(self.shape)} exceeds its data") from error

    def same_as(self, other: "StoredTensor") -> bool:
        """Whether both are one run of numbers in the file."""
        mine = (self.storage.key, self.offset, self.shape, self.stride)
        return mine == (other.storage.key, other.offset, other.shape, other.stride)


def read_torch_file(path: Path) -> Any:
    """Return the object that ``torch.save`` wrote, its tensors as :class:`StoredTensor`.

    Raises:
        InputError: the file is missing, empty, truncated or no PyTorch file.
    """
    try:
        start = path.open("rb").read(64)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise InputError(f"{path}: is empty; download it again")
    for begin, meaning in _NOT_CHECKPOINTS.items():
        if start.lower().startswith(begin):
            raise InputError(f"{path}: {meaning}")
    try:
        if start.startswith(b"PK\x03\x04"):
            return _read_zip(path)
        return _read_legacy(path)
    except InputError:
        raise
    except (zipfile.BadZipFile, EOFError) as error:
        raise _damaged(path, error) from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(
            f"{path}: is no PyTorch checkpoint that can be read ({type(error).__name__}: {error})"
        ) from error


class _Unpickler(pickle.Unpickler):
    """Builds containers, numbers and strings; tensors stay descriptions; the rest is opaque."""

    def __init__(self, file: IO[bytes], storage_of: Callable[[str, torch.dtype], Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage_of = storage_of

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        return _KNOWN.get((module, name), Opaque)

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key = pid[:3]
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("tensors of an unknown type")
        return self._storage_of(str(key), dtype)


def _tensor(storage: Storage, offset: int, size: tuple, stride: tuple, *_rest: Any) -> StoredTensor:
    return StoredTensor(
        shape=tuple(size), dtype=storage.dtype, storage=storage, offset=offset, stride=tuple(stride)
    )


def _parameter(data: StoredTensor, *_rest: Any) -> StoredTensor:
    return data


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch", "Size"): tuple,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}


def _read_zip(path: Path) -> Any:
    archive = zipfile.ZipFile(path)  # stays open as long as a tensor may be read from it
    records = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in records if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise InputError(f"{path}: is a zip archive but no PyTorch checkpoint")
    folder = pickles[0].removesuffix("data.pkl")
    if folder + "byteorder" in records and archive.read(folder + "byteorder") == b"big":
        raise InputError(f"{path}: was written on a big-endian machine, which is not supported")

    def storage_of(key: str, dtype: torch.dtype) -> Storage:
        record = records.get(f"{folder}data/{key}")
        if record is None or record.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{path}: lacks the numbers of a tensor; download it again")
        return Storage(key=key, dtype=dtype, read=lambda: _read_record(path, archive, record))

    with archive.open(pickles[0]) as file:
        return _Unpickler(file, storage_of).load()


def _read_record(path: Path, archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> bytearray:
    """Read one file of the archive, checksum included, without a second copy."""
    if record.file_size != record.compress_size:
        raise _damaged(path, ValueError("sizes disagree"))
    try:
        with archive.open(record) as file:
            return _fill(path, file, record.file_size)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise _damaged(path, error) from error


def _fill(path: Path, file: IO[bytes], n_bytes: int) -> bytearray:
    raw = bytearray(n_bytes)
    view = memoryview(raw)
    done = 0
    while chunk := file.read(_CHUNK_BYTES if n_bytes - done > _CHUNK_BYTES else n_bytes - done):
        view[done : done + len(chunk)] = chunk
        done += len(chunk)
    if done < n_bytes:
        raise _damaged(path, EOFError(f"{n_bytes - done} bytes missing"))
    return raw


def _read_legacy(path: Path) -> Any:
    """Read the format of PyTorch before 1.6: pickles, then each storage behind its length."""
    places: dict[str, tuple[int, int]] = {}  # key -> position and bytes in the file
    item_sizes: dict[str, int] = {}

    def storage_of(key: str, dtype: torch.dtype) -> Storage:
        item_sizes[key] = dtype.itemsize
        return Storage(key=key, dtype=dtype, read=lambda: _read_span(path, *places[key]))

    with path.open("rb") as file:
        try:
            magic = _Unpickler(file, storage_of).load()
        except Exception:
            magic = None
        if magic != _LEGACY_MAGIC:
            raise InputError(f"{path}: is no PyTorch checkpoint; give the .pth, .pt or .ckpt file")
        for _ in ("protocol version", "system"):
            _Unpickler(file, storage_of).load()
        contents = _Unpickler(file, storage_of).load()
        for key in _Unpickler(file, storage_of).load():
            (n_items,) = struct.unpack("<Q", _fill(path, file, 8))
            places[key] = (file.tell(), n_items * item_sizes[key])
            file.seek(n_items * item_sizes[key], 1)
        if file.tell() > path.stat().st_size:
            raise _damaged(path, EOFError("the last tensors are missing"))
    return contents


def _read_span(path: Path, position: int, n_bytes: int) -> bytearray:
    with path.open("rb") as file:
        file.seek(position)
        return _fill(path, file, n_bytes)


def _damaged(path: Path, error: BaseException) -> InputError:
    return InputError(f"{path}: is truncated or damaged ({error}); download it again")

"""Writing safetensors files one tensor at a time, so that memory holds one tensor and no more."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from avsr.atomic import atomic_file
from avsr.progress import Progress

_DTYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ALIGNMENT = 8  # bytes, of the data behind the header


@dataclass(frozen=True, kw_only=True)
class StreamedTensor:
    """A tensor that is made when it is due to be written."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    read: Callable[[], Tensor]

    @property
    def n_bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def write_safetensors(
    path: Path, tensors: Sequence[StreamedTensor], progress: Progress | None = None
) -> int:
    """Write tensors into one file, which appears only when it is whole.

    Args:
        path: of the file.
        tensors: with different names.
        progress: called with a stage, bytes done and bytes in all (both in MB).

    Returns:
        Size of the file in bytes.

    Raises:
        OSError: the file cannot be written. What reading a tensor raises passes through.
    """
    ordered = sorted(tensors, key=lambda tensor: -tensor.dtype.itemsize)  # keeps data aligned
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in ordered:
        begin, end = end, end + tensor.n_bytes
        header[tensor.name] = {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    done = reported = 0
    with atomic_file(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in ordered:
            values = tensor.read().cpu().contiguous().reshape(-1)
            file.write(values.view(torch.uint8).numpy().data)  # bytes, not copied
            done += tensor.n_bytes
            if progress is not None and done >> 20 > reported:
                reported = done >> 20
                progress("writing MB", reported, end >> 20)
        return file.tell()

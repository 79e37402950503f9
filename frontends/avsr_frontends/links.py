"""Files that are several files put one behind the other: where each of them begins.

FFmpeg reads only the first of most such files, or goes on with the wrong decoder settings, so each
link of the chain is opened by itself. Transport and program streams are no chains of this kind:
they have no beginning that could be told from their middle (see :mod:`avsr_frontends.clock`).
"""

import functools
import io
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer

_OGG_HEADER = 27  # bytes of a page before its table of segments
_BEGINS_STREAM = 2  # flag of the first page of a stream
_SHORTEST = 64  # bytes: less is no file
_MOST_LINKS = 10_000


@dataclass(frozen=True, kw_only=True)
class Link:
    """One file of a chain: its first byte and the one after its last."""

    begin: int
    end: int


class LinkFile(io.RawIOBase):
    """The bytes of one link as a file of its own."""

    def __init__(self, path: Path, link: Link) -> None:
        self._file, self._link = path.open("rb"), link
        self._file.seek(link.begin)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        n_left = self._link.end - self._file.tell()
        content = self._file.read(max(0, min(len(buffer), n_left)))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {
            io.SEEK_SET: self._link.begin,
            io.SEEK_CUR: self._file.tell(),
            io.SEEK_END: self._link.end,
        }
        self._file.seek(max(self._link.begin, base[whence] + offset))
        return self.tell()

    def tell(self) -> int:
        return self._file.tell() - self._link.begin

    def close(self) -> None:
        self._file.close()
        super().close()


def open_file(path: Path, link: Link | None = None) -> InputContainer:
    """Open a file, or one link of it, whatever its name looks like.

    Raises:
        FFmpegError: if it cannot be read as media.
    """
    # Nothing that a file refers to is opened, least of all over a network.
    options = {"protocol_whitelist": "file"}
    # With the protocol's name: a colon in a file's own name is none.
    source = f"file:{path}" if link is None else LinkFile(path, link)
    return av.open(source, "r", metadata_errors="ignore", options=options)


def links_of(path: Path, format_name: str) -> tuple[Link, ...]:
    """The links of a file, in order; none for a file that is one whole.

    Args:
        path: a regular file.
        format_name: what FFmpeg calls its container.
    """
    find = next((find for name, find in _FINDERS.items() if format_name.startswith(name)), None)
    if find is None or not path.is_file():
        return ()
    status = path.stat()
    return _found(path, status.st_size, status.st_mtime_ns, find)


Finder = Callable[[mmap.mmap], list[int]]


@functools.lru_cache(maxsize=64)
def _found(path: Path, size: int, _date: int, find: Finder) -> tuple[Link, ...]:
    if size == 0:
        return ()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begins = find(data)
    edges = [0, *begins[: _MOST_LINKS - 1], size]
    links = [Link(begin=a, end=b) for a, b in pairwise(edges)]
    links = [link for link in links if link.end - link.begin >= _SHORTEST]
    return tuple(links) if len(links) > 1 else ()


def _ogg(data: mmap.mmap) -> list[int]:
    """A stream begins after pages of others."""
    begins: list[int] = []
    at, after_begin = 0, True
    while 0 <= at <= len(data) - _OGG_HEADER:
        if data[at : at + 4] != b"OggS":
            at = data.find(b"OggS", at + 1)
            continue
        is_begin = bool(data[at + 5] & _BEGINS_STREAM)
        if is_begin and not after_begin:
            begins.append(at)
        after_begin = is_begin
        n_segments = data[at + 26]
        table = data[at + _OGG_HEADER : at + _OGG_HEADER + n_segments]
        at += _OGG_HEADER + n_segments + sum(table)
    return begins


def _matroska(data: mmap.mmap) -> list[int]:
    """Another EBML header; not looked for where the first segment says that it is all."""
    header_end = _element_end(data, 4)
    if header_end is not None and data[header_end : header_end + 4] == b"\x18\x53\x80\x67":
        end = _element_end(data, header_end + 4)
        if end is not None and end >= len(data):
            return []
    marks = _all(data, b"\x1a\x45\xdf\xa3", 4)
    names = (b"matroska", b"webm")
    return [at for at in marks if any(name in data[at : at + 80] for name in names)]


def _element_end(data: mmap.mmap, at: int) -> int | None:
    """Where a Matroska element ends whose size is written at ``at``; None where it is open."""
    if at >= len(data) or data[at] == 0:
        return None
    length = 9 - data[at].bit_length()
    size = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return None if size == (1 << 7 * length) - 1 else at + length + size


def _mp4(data: mmap.mmap) -> list[int]:
    """Another ``ftyp`` box behind a ``moov`` box and content."""
    begins: list[int] = []
    at, met = 0, set[bytes]()
    while at <= len(data) - 8:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if kind == b"ftyp" and b"moov" in met and met & {b"mdat", b"moof"}:
            begins.append(at)
            met = set()
        met.add(kind)
        if size < 8:  # to the end, or damaged
            break
        at += size
    return begins


def _riff(data: mmap.mmap) -> list[int]:
    """Another RIFF chunk of the same kind behind the first."""
    kind = data[8:12]
    at, begins = 8 + int.from_bytes(data[4:8], "little"), []
    while at <= len(data) - 12 and len(begins) < _MOST_LINKS:
        at += at % 2
        if data[at : at + 4] != b"RIFF":
            break
        if data[at + 8 : at + 12] == kind:  # long AVI files have further chunks of another kind
            begins.append(at)
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    return begins


def _flac(data: mmap.mmap) -> list[int]:
    return _all(data, b"fLaC\x00\x00\x00\x22", 4)


def _flv(data: mmap.mmap) -> list[int]:
    marks = _all(data, b"FLV\x01", 4)
    return [at for at in marks if data[at + 5 : at + 13] == b"\x00\x00\x00\x09\x00\x00\x00\x00"]


def _all(data: mmap.mmap, mark: bytes, since: int) -> list[int]:
    places: list[int] = []
    at = data.find(mark, since)
    while at >= 0 and len(places) < _MOST_LINKS:
        places.append(at)
        at = data.find(mark, at + 1)
    return places


_FINDERS: dict[str, Finder] = {
    "ogg": _ogg,
    "matroska": _matroska,
    "mov": _mp4,
    "wav": _riff,
    "avi": _riff,
    "flac": _flac,
    "flv": _flv,
}

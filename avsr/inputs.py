"""From what a user names to the files that are transcribed: files, folders, patterns, pipes."""

import glob
import os
import re
import select
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from avsr.errors import InputError, UsageError, one_line
from avsr_frontends.signatures import looks_like_media

STANDARD_INPUT = "-"
_VIDEO = (
    "3g2 3gp asf avi divx dv f4v flv m2ts m2v m4v mkv mov mp4 mpe mpeg mpg mts mxf ogm ogv rm rmvb "
    "ts vob webm wmv"
)
_SOUND = (
    "aac ac3 adts aif aifc aiff amr ape au caf eac3 flac gsm m4a m4b m4r mka mp1 mp2 mp3 mpga oga "
    "ogg opus ra snd spx tta wav wave weba wma wv"
)
MEDIA_SUFFIXES = frozenset(f".{name}" for name in f"{_VIDEO} {_SOUND}".split())
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WRITER_S = 5.0  # how long a pipe is given until somebody writes to it
_SHOWN = 5  # names of a list that are shown


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One file to transcribe.

    Attributes:
        path: the file, or ``-``.
        name: what its results are called after: the path within the folder that was named, else
            the file's own name.
        problem: why there is nothing to transcribe, if that is known already.
    """

    path: Path
    name: Path
    problem: str | None = None


def expand_inputs(names: Sequence[str], *, recursive: bool = False) -> list[InputFile]:
    """Find the files that the arguments of a command mean.

    A file is itself, whatever its name. Of a folder, and of the folders below it if asked for,
    those files count whose names end as media files' do, or whose content begins so. A pattern
    with ``*``, ``?`` or ``[]``, where no file has that very name, stands for the files that fit.
    What does not exist, and a folder without media, is passed on, to be reported in its turn.

    Returns:
        Files in the order of the arguments, sorted within each, none twice.

    Raises:
        UsageError: if a pattern fits no file, a name is an address, or standard input is named
            twice.
    """
    if sum(_is_standard_input(name) for name in names) > 1:
        raise UsageError("- (standard input) can be read only once: name it once")
    files: dict[Path, InputFile] = {}
    for name in names:
        paths = [Path(name)]
        if not os.path.lexists(name):
            if _ADDRESS.match(name):
                message = "is an address, and nothing is fetched; download it and name the file"
                raise UsageError(f"{name}: {message}")
            if glob.has_magic(name):
                paths = sorted(Path(match) for match in glob.glob(name, recursive=True))
                if not paths:
                    raise UsageError(f"{name}: no file fits this pattern")
        for path in paths:
            for file in _files_of(path, recursive):
                files.setdefault(file.path, file)
    return list(files.values())


@contextmanager
def spooled(file: Path) -> Iterator[Path]:
    """A file that can be read more than once: what comes through a pipe is copied.

    Raises:
        InputError: if nobody writes to the pipe, or there is no room for the copy.
    """
    is_pipe = str(file) != STANDARD_INPUT and file.is_fifo()
    if str(file) != STANDARD_INPUT and not is_pipe:
        yield file
        return
    if not is_pipe and sys.stdin.isatty():
        raise InputError(f"{file}: is the keyboard; send a file to standard input")
    with tempfile.NamedTemporaryFile(prefix="avsr-standard-input-") as copy:
        try:
            if is_pipe:
                with _opened_pipe(file) as pipe:
                    shutil.copyfileobj(pipe, copy)
            else:
                shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
        except OSError as error:
            message = f"cannot be copied to {tempfile.gettempdir()} ({one_line(error)})"
            raise InputError(f"{file}: {message}; free space or set TMPDIR") from error
        yield Path(copy.name)


def _opened_pipe(path: Path) -> IO[bytes]:
    """Open a named pipe for reading without waiting for ever.

    Raises:
        InputError: if nobody writes to it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN | select.POLLHUP)
    if not waiting.poll(1000 * _WRITER_S):
        os.close(descriptor)
        raise InputError(f"{path}: is a pipe to which nobody writes; start its writer first")
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")


def _is_standard_input(name: str) -> bool:
    return name == STANDARD_INPUT or name in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def _files_of(path: Path, recursive: bool) -> list[InputFile]:
    """The files that one path means."""
    if not path.is_dir():
        return [InputFile(path=path, name=Path(path.name))]
    try:
        found = _media_in(path, recursive)
        problem = None if found else _lack_of_media(path, recursive)
    except OSError as error:
        found, problem = [], f"cannot be read ({error.strerror})"
    if problem is not None:
        return [InputFile(path=path, name=Path(path.name), problem=problem)]
    return [InputFile(path=file, name=file.relative_to(path)) for file in found]


def _lack_of_media(folder: Path, recursive: bool) -> str:
    """Why nothing of a folder is transcribed."""
    below = [] if recursive else _media_in(folder, True)
    if below:
        first = below[0].relative_to(folder)
        return f"holds media files only in folders below it, such as {first}; search recursively"
    others = sorted(
        str(entry.relative_to(folder)) for entry in folder.rglob("*") if not entry.is_dir()
    )
    if not others:
        return "is a folder without any file"
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"holds no media file at any depth, only {', '.join(others[:_SHOWN])}{more}"


def _media_in(folder: Path, recursive: bool) -> list[Path]:
    entries = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(entry for entry in entries if not entry.name.startswith(".") and _is_media(entry))


def _is_media(path: Path) -> bool:
    if path.suffix.lower() in MEDIA_SUFFIXES:
        return not path.is_dir()
    try:
        return path.is_file() and looks_like_media(path)
    except OSError:
        return False

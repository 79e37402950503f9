"""From what a user names to the files that are transcribed: files, folders, patterns, a pipe."""

import glob
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from avsr.errors import UsageError

STANDARD_INPUT = "-"
_VIDEO = "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
_SOUND = "aac aiff amr flac m4a mka mp3 oga ogg opus wav wma"
MEDIA_SUFFIXES = frozenset(f".{name}" for name in f"{_VIDEO} {_SOUND}".split())


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One file to transcribe.

    Attributes:
        path: the file, or ``-``.
        name: what its results are called after: the path within the folder that was named, else
            the file's own name.
    """

    path: Path
    name: Path


def expand_inputs(names: Sequence[str], *, recursive: bool = False) -> list[InputFile]:
    """Find the files that the arguments of a command mean.

    A file is itself, whatever its name. Of a folder, and of the folders below it if asked for,
    those files count whose names end as media files' do. A pattern with ``*``, ``?`` or ``[]``,
    where no file has that very name, stands for the files that fit. What does not exist, and a
    folder without media, is passed on, to be reported in its turn; ``-`` too.

    Returns:
        Files in the order of the arguments, sorted within each, none twice.

    Raises:
        UsageError: if a pattern fits no file, or standard input is named twice.
    """
    if list(names).count(STANDARD_INPUT) > 1:
        raise UsageError("- (standard input) may be named only once")
    files: dict[Path, InputFile] = {}
    for name in names:
        paths = [Path(name)]
        if not paths[0].exists() and glob.has_magic(name):
            paths = sorted(Path(match) for match in glob.glob(name, recursive=True))
            if not paths:
                raise UsageError(f"{name}: no file fits this pattern")
        for path in paths:
            found = _media_in(path, recursive) if path.is_dir() else []
            for file in found:
                files.setdefault(file, InputFile(path=file, name=file.relative_to(path)))
            if not found:
                files.setdefault(path, InputFile(path=path, name=Path(path.name)))
    return list(files.values())


@contextmanager
def spooled(file: Path) -> Iterator[Path]:
    """A file that can be read more than once: standard input is copied to a temporary one."""
    if str(file) != STANDARD_INPUT:
        yield file
        return
    with tempfile.NamedTemporaryFile(prefix="avsr-standard-input-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def _media_in(folder: Path, recursive: bool) -> list[Path]:
    entries = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        entry
        for entry in entries
        if entry.suffix.lower() in MEDIA_SUFFIXES
        and not entry.name.startswith(".")
        and not entry.is_dir()
    )

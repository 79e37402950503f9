"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["atomic_file", "write_text_atomically"]

_PREFIX, _SUFFIX = ".avsr-", ".part"  # of files that are being written: short, whatever the name


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name only when the ``with`` block ends well.

    Whatever interrupts the block, a file of that name is the old one or the whole new one.

    Raises:
        OSError: if the folder cannot be written to or the disk is full.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_SUFFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all; bytes of names that are no UTF-8 are escaped.

    Raises:
        OSError: as :func:`atomic_file`.
    """
    with atomic_file(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def is_unfinished(path: Path) -> bool:
    """Whether a path is named as what is being written, or was when a run was killed."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def remove_unfinished(folder: Path) -> None:
    """Delete what a killed run was about to write into a folder and those below it.

    Raises:
        OSError: if the folder cannot be read.
    """
    for path in folder.rglob(f"{_PREFIX}*{_SUFFIX}"):
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

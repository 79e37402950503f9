"""The one rule of all outputs: none replaces an input, or a file that is not ours.

A file is ours where this program wrote it for the same purpose and nobody has changed it since.
Formats that tell their origin are known by their content (``is_ours`` below). Of the others a
digest is kept in the user's state folder (``AVSR_STATE``, else below ``XDG_STATE_HOME``), without
names or content, so that results may be moved and copied.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from avsr.atomic import write_text_atomically
from avsr.errors import UsageError, printable


def check_outputs(
    outputs: Iterable[Path],
    purpose: str,
    *,
    inputs: Iterable[Path] = (),
    is_ours: Callable[[Path], bool] = lambda path: False,
) -> None:
    """Find out before any work whether files may be written. Makes their folders.

    Args:
        outputs: files, or folders that are written as a whole.
        purpose: what they are for, as :func:`note_output` is told it.
        inputs: what the work reads, whether it is there or not.
        is_ours: whether what is at an output's path was written by us, by its content; whatever
            else was noted is ours too.

    Raises:
        UsageError: naming the first output that would replace an input or a foreign file, has a
            name that is too long, or lies in a folder that cannot be made or written to.
    """
    read = {_identity(path) for path in inputs}
    folders: dict[Path, None] = {}
    for path in outputs:
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            folders[path.parent] = None
            continue
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise UsageError(f"{printable(path)}: {error.strerror}; choose another") from None
            message = "this name is too long for a file; shorten the input's"
            raise UsageError(f"{printable(path)}: {message}") from None
        if _identity(path) in read:
            message = "is an input, which no output may replace; choose another output"
            raise UsageError(f"{printable(path)}: {message}")
        if not is_ours(path) and not was_noted(path, purpose):
            raise UsageError(
                f"{printable(path)}: is there already, and not as an earlier run left it; move it "
                "away or choose another output"
            )
        folders[path.parent] = None
    for folder in folders:
        check_folder(folder)


def check_folder(folder: Path) -> None:
    """Make a folder where it is missing, and try to write into it.

    Raises:
        UsageError: if that fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make this folder ({error.strerror}); choose another"
        raise UsageError(f"{printable(folder)}: {message}") from None
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = f"cannot write to this folder ({error.strerror}); choose another"
        raise UsageError(f"{printable(folder)}: {message}") from None


def write_output(path: Path, text: str, purpose: str) -> None:
    """Write a UTF-8 text file whole or not at all, and note it as ours.

    Raises:
        OSError: if it cannot be written.
    """
    write_text_atomically(path, text)
    note_output(path, purpose)


def note_output(path: Path, purpose: str) -> None:
    """Remember what is in a file, so that a later run for the same purpose may replace it."""
    try:
        digest = _digest(path, purpose)
        if _is_noted(digest):
            return
        record = _record(digest)
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a", encoding="ascii") as file:
            file.write(digest + "\n")
    except OSError:  # of a state folder that is read-only: the file will count as foreign
        return


def was_noted(path: Path, purpose: str) -> bool:
    """Whether a file is as :func:`note_output` saw it, for the same purpose."""
    try:
        return path.is_file() and not path.is_symlink() and _is_noted(_digest(path, purpose))
    except OSError:
        return False


def _is_noted(digest: str) -> bool:
    try:
        return digest in _record(digest).read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return False


def _digest(path: Path, purpose: str) -> str:
    digest = hashlib.sha256(f"{purpose}\n".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _record(digest: str) -> Path:
    """The file that lists digests which begin alike."""
    state = os.environ.get("AVSR_STATE")
    if not state:
        home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
        state = Path(home) / "avsr"
    return Path(state) / "written" / digest[:2]


def _identity(path: Path) -> object:
    """The same value for all names of one file."""
    try:
        about = path.stat()
    except OSError:
        return os.path.abspath(path)
    return about.st_dev, about.st_ino

"""Text files line by line, as JSON Lines and label files mean it."""

from pathlib import Path


def split_lines(text: str) -> list[str]:
    r"""The lines of a text: only ``\n`` and ``\r\n`` end one.

    ``str.splitlines`` also cuts at characters that may stand inside a JSON string, such as U+2028.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file; a byte order mark is dropped.

    Raises:
        OSError: if it cannot be read.
        UnicodeDecodeError: if it is no UTF-8.
    """
    return split_lines(path.read_text(encoding="utf-8-sig"))

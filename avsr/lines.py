"""Text files line by line, as JSON Lines and label files mean it."""

import codecs
from pathlib import Path

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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
        ValueError: if it is no UTF-8; the message is part of a line.
    """
    content = path.read_bytes()
    try:
        return split_lines(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        if content.startswith(_UTF_16_MARKS):
            raise ValueError("it is UTF-16; save it as UTF-8") from None
        raise ValueError(f"it is no UTF-8 at byte {error.start}; save it as UTF-8") from None

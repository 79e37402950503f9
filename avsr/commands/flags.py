"""Settings as the command line calls them: libraries name what is wrong, commands add the option.

This is the one place where a setting's name in Python becomes an option, and a value of an option
that is no plain text or number becomes what Python takes.
"""

from typing import TYPE_CHECKING

from avsr.errors import AvsrError, UsageError, one_line

if TYPE_CHECKING:
    from avsr.clips.roi import Roi
    from avsr.recognition.request import FaceRequest

_FLAGS = {"num_beams": "--beam", "noises": "--noise", "snrs_db": "--snr"}  # not called alike


def flag(setting: str) -> str:
    """The option that gives a setting, such as ``--ctc-weight`` for ``ctc_weight``."""
    return _FLAGS.get(setting) or f"--{setting.replace('_', '-')}"


def told(error: BaseException) -> str:
    """An error as one line for the command line: with the options that may be given otherwise."""
    message = one_line(error)
    if isinstance(error, AvsrError) and error.settings:
        message += f" ({', '.join(map(flag, error.settings))})"
    return message


def parse_face(value: str) -> "FaceRequest":
    """Read whose lips are meant.

    Raises:
        UsageError: if it is no face.
    """
    if value.isdecimal() and int(value) >= 1:
        return int(value)
    for name in ("speaking", "largest", "all"):
        if value == name:
            return name
    raise UsageError(f"--face {value!r}: give speaking, largest, all, or a number from 1 on")


def parse_roi(value: str) -> "Roi":
    """Read ``x,y,w,h``.

    Raises:
        UsageError: if it is anything else.
    """
    parts = [part.strip() for part in value.split(",")]
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        left, top, width, height = map(int, parts)
        if width and height:
            return left, top, width, height
    raise UsageError(f"--roi {value!r}: give x,y,w,h in pixels, such as 640,0,640,720")

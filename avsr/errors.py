"""Errors whose message is meant for the user: one line that says what is wrong and what to do."""

import os

__all__ = [
    "AvsrError",
    "InputError",
    "ModelUnavailableError",
    "UsageError",
    "one_line",
    "printable",
]


class AvsrError(Exception):
    """A problem that the user can act on; ``str`` of it is the one line to show.

    Attributes:
        exit_code: what the command line returns when this ends it.
        settings: names of what may be set otherwise, as Python calls it (``"num_beams"``).
    """

    exit_code = 1

    def __init__(self, message: str, *, settings: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.settings = settings


class InputError(AvsrError):
    """One input file cannot be transcribed; others are not affected."""


class UsageError(AvsrError):
    """A wrong option, manifest or combination of the two."""

    exit_code = 2


class SettingError(UsageError, ValueError):
    """A value of a setting that a model, or another setting, does not allow."""


class ModelUnavailableError(AvsrError):
    """A model or its weights cannot be found or loaded."""

    exit_code = 3


def printable(path: os.PathLike[str]) -> str:
    """A path as text that any output can take: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_line(error: BaseException) -> str:
    """The message of any exception on a single line, with its class where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__

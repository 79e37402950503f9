"""Errors whose message is meant for the user: one line that says what is wrong and what to do."""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = [
    "AvsrError",
    "InputError",
    "ModelUnavailableError",
    "SeveralErrors",
    "Together",
    "UsageError",
    "one_line",
    "printable",
]

Result = TypeVar("Result")


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


class SeveralErrors(AvsrError):
    """Problems of which none follows from another; the exit code is that of the first.

    Attributes:
        errors: they.
    """

    def __init__(self, errors: Sequence[AvsrError]) -> None:
        super().__init__(numbered([str(error) for error in errors]))
        self.errors = tuple(errors)
        self.exit_code = errors[0].exit_code


class Together:
    """Steps that do not need one another, so that what is wrong with any is told at once."""

    def __init__(self) -> None:
        self._errors: list[AvsrError] = []

    def attempt(self, step: Callable[[], Result]) -> Result | None:
        """Take a step; None where that fails."""
        try:
            return step()
        except SeveralErrors as error:
            self._errors += error.errors
        except AvsrError as error:
            self._errors.append(error)
        return None

    def need(self, there: object, error: AvsrError) -> None:
        """Remember an error unless something is there."""
        if there is None:
            self._errors.append(error)

    def check(self) -> None:
        """Tell what went wrong so far.

        Raises:
            AvsrError: the one error that there was.
            SeveralErrors: all of them, in the order of the steps.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise SeveralErrors(self._errors)


def numbered(problems: Sequence[str]) -> str:
    """Several problems as one line."""
    return " ".join(f"({number}) {text}" for number, text in enumerate(problems, start=1))


def printable(path: os.PathLike[str]) -> str:
    """A path as text that any output can take: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_line(error: BaseException) -> str:
    """The message of any exception on a single line, with its class where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__

"""What long work tells while it goes on, and whom: functions that the caller gives."""

import logging
from collections.abc import Callable

__all__ = [
    "Progress",
    "Say",
    "say_in_log",
    "say_nothing",
    "show_nothing",
]

# What is being done, how many are done, of how many. What follows a colon may change meanwhile.
Progress = Callable[[str, int, int], None]
Say = Callable[[str], None]  # takes one line


def show_nothing(stage: str, done: int, total: int) -> None:
    """A :data:`Progress` for those who do not look."""


def say_nothing(message: str) -> None:
    """A :data:`Say` for those who do not listen."""


def say_in_log(message: str) -> None:
    """A :data:`Say` for programs; on standard error where logging is not set up."""
    logging.getLogger(__name__).warning(message)

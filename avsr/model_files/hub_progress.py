"""How far a download by the hub's library is, in place of that library's own bars."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avsr.progress import Progress

__all__ = ["told_download"]

_BYTES_PER_MB = 1e6


@contextmanager
def told_download(
    name: str, progress: Progress, megabytes: int | None = None
) -> Iterator[type[Any]]:
    """Let a download of the hub's library tell how far it is.

    Args:
        name: of what is fetched.
        progress: told the megabytes that have come, of how many; nothing where none had to come.
        megabytes: how many there are; None until the server says so.

    Yields:
        What the library's functions take as ``tqdm_class``.
    """
    from tqdm.std import tqdm

    stage = f"fetching {name}, MB"
    known = {"done": 0, "total": megabytes or 0}

    class Told(tqdm):
        """A bar that writes nothing."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            quiet = {"file": io.StringIO(), "disable": False}
            super().__init__(*arguments, **{**options, **quiet})

        def display(self, msg: str | None = None, pos: int | None = None) -> Any:
            if self.unit == "B" and self.total:  # not the one that counts files
                known["total"] = max(1, round(self.total / _BYTES_PER_MB))
                known["done"] = max(known["done"], round(self.n / _BYTES_PER_MB))
                # What is announced may grow; all of it is there when the library says so.
                progress(stage, min(known["done"], known["total"] - 1), known["total"])
            return True

    if megabytes is not None:
        progress(stage, 0, megabytes)
    yield Told
    if known["total"]:
        progress(stage, known["total"], known["total"])

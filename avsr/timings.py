"""Where the time goes: named stages, measured on the wall clock."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["Timings"]

Item = TypeVar("Item")


class Timings:
    """Seconds spent in each named stage; a stage may be entered many times.

    Attributes:
        seconds: stage name to total seconds, in the order of first use.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Count ``seconds`` towards ``stage``."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time of the ``with`` block towards ``stage``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def measure_items(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """Pass items through, counting the time that producing them takes towards ``stage``."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.add(stage, time.perf_counter() - started)
            yield item

    def __str__(self) -> str:
        """One line: each stage with its seconds."""
        return ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in self.seconds.items())

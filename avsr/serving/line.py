"""The line of requests: some are worked on, some wait, the others are refused."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from avsr.memory import release_memory
from avsr.serving.refusals import Refusal
from avsr.serving.settings import ServerSettings

Result = TypeVar("Result")

_FIRST_GUESS_S = 2.0  # of the time that a request takes
_LONGEST_RETRY_S = 60
_TIDY_S = 20.0  # memory is given back to the system no more often


class Line:
    """Bounded: who comes when it is full is told when to come again.

    To be used in one event loop.

    Attributes:
        n_inside: requests that have a place.
        n_working: those that a thread works on.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="transcriber")
        self._mean_s = _FIRST_GUESS_S
        self._tidied = time.monotonic()
        self._lock = threading.Lock()
        self.n_inside = 0
        self.n_working = 0

    @property
    def is_full(self) -> bool:
        """Whether the next one is refused."""
        return self.n_inside >= self._settings.workers + self._settings.queue

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which a place is likely to be free."""
        seconds = self._mean_s * self._settings.queue / self._settings.workers / 2
        return min(max(1, math.ceil(seconds)), _LONGEST_RETRY_S)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Have a place in the line.

        Raises:
            Refusal: if it is full.
        """
        if self.is_full:
            wait_s = self.retry_after_s
            message = f"the server is busy with {self.n_inside} requests; try again in {wait_s} s"
            raise Refusal(429, message, code="queue_full", retry_after_s=wait_s)
        self.n_inside += 1
        try:
            yield
        finally:
            self.n_inside -= 1

    def warm_up(self, function: Callable[[], object]) -> None:
        """Run a function once in each thread: what threads have for themselves is loaded there."""
        everybody = threading.Barrier(self._settings.workers)

        def run() -> None:
            everybody.wait()  # so that none of them runs it twice
            function()

        for done in [self._pool.submit(run) for _ in range(self._settings.workers)]:
            done.result()

    async def work(self, function: Callable[[], Result]) -> Result:
        """Run a function in a thread as soon as one is free.

        Where the caller stops waiting, it is not begun any more; once begun, it goes on.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._timed, function)

    def _timed(self, function: Callable[[], Result]) -> Result:
        with self._lock:
            self.n_working += 1
        started = time.monotonic()
        try:
            return function()
        finally:
            now = time.monotonic()
            with self._lock:
                self.n_working -= 1
                self._mean_s += 0.1 * (now - started - self._mean_s)
                is_due = now - self._tidied >= _TIDY_S
                self._tidied = now if is_due else self._tidied
            if is_due:
                release_memory()

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)

"""Threads that read recordings, each with a face tracker of its own, and the line before them."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from avsr_demo.face_watch import FaceWatch
from avsr_demo.limits import LineFullError

MOST_WAITING = 32  # visitors in the line; the next are told to come back
Item = TypeVar("Item")
_END = object()
_FIRST_LOOK_S = 0.1  # a free thread takes work up sooner
_LOOK_S = 1.0  # how often somebody who waits is told their place


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A place in the line.

    Attributes:
        before: how many others wait before this one, besides those that are being read.
    """

    before: int


class Workers:
    """A fixed number of threads. Each makes one face tracker at its start, and keeps it.

    mediapipe crashes where threads share a face tracker, and Gradio runs handlers on any thread.
    """

    def __init__(self, n_workers: int, most_waiting: int = MOST_WAITING) -> None:
        self._local = threading.local()
        self._watches: list[FaceWatch] = []
        self._line: list[object] = []  # what nobody has taken up yet, in order
        self._lock = threading.Lock()
        self._most_waiting = most_waiting
        self._pool = ThreadPoolExecutor(
            n_workers, thread_name_prefix="reader", initializer=self._start
        )

    def stream(
        self,
        work: Callable[[FaceWatch], Iterator[Item]],
        wanted: Callable[[], bool] = lambda: True,
    ) -> Generator[Item | Waiting, None, None]:
        """Run a generator on one of the threads and pass on what it yields.

        Until a thread is free, the place in the line comes about once a second. Where the consumer
        stops early, or the work is no longer wanted, the generator is closed at its next item.

        Args:
            work: makes the generator, on its thread.
            wanted: asked about once a second, and before each item.

        Raises:
            LineFullError: if too many wait.
            Exception: whatever the generator raises.
        """
        results: queue.SimpleQueue[object] = queue.SimpleQueue()
        left = threading.Event()
        ticket = object()
        self._queue_up(ticket)

        def run() -> None:
            self._leave_line(ticket)
            for item in work(self._local.watch):
                if left.is_set():
                    return
                results.put(item)

        future = self._pool.submit(run)
        future.add_done_callback(lambda _: results.put(_END))
        try:
            patience_s = _FIRST_LOOK_S
            while True:
                try:
                    item = results.get(timeout=patience_s)
                except queue.Empty:
                    item = self._place_of(ticket)
                patience_s = _LOOK_S
                if not wanted():
                    return
                if item is _END:
                    break
                if item is not None:
                    yield item  # pyright: ignore[reportReturnType] only _END is not an Item
            future.result()
        finally:
            left.set()
            future.cancel()
            self._leave_line(ticket)

    def close(self) -> None:
        """Wait for running work, then free the face trackers."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for watch in self._watches:
            watch.close()

    def _queue_up(self, ticket: object) -> None:
        with self._lock:
            if len(self._line) >= self._most_waiting:
                raise LineFullError(
                    f"{len(self._line)} visitors wait already. Please try again in a few minutes."
                )
            self._line.append(ticket)

    def _leave_line(self, ticket: object) -> None:
        with self._lock:
            if ticket in self._line:
                self._line.remove(ticket)

    def _place_of(self, ticket: object) -> Waiting | None:
        """The place of somebody who waits; None for one whose turn has come."""
        with self._lock:
            return Waiting(before=self._line.index(ticket)) if ticket in self._line else None

    def _start(self) -> None:
        self._local.watch = FaceWatch()
        self._watches.append(self._local.watch)

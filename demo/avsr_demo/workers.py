"""Threads that read recordings, each with a face tracker of its own."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from avsr_demo.face_watch import FaceWatch

Item = TypeVar("Item")
_END = object()


class Workers:
    """A fixed number of threads. Each makes one face tracker at its start, and keeps it.

    mediapipe crashes where threads share a face tracker, and Gradio runs handlers on any thread.
    """

    def __init__(self, n_workers: int) -> None:
        self._local = threading.local()
        self._watches: list[FaceWatch] = []
        self._pool = ThreadPoolExecutor(
            n_workers, thread_name_prefix="reader", initializer=self._start
        )

    def stream(self, work: Callable[[FaceWatch], Iterator[Item]]) -> Generator[Item, None, None]:
        """Run a generator on one of the threads and pass on what it yields.

        Where the consumer stops early, the generator is closed at its next item.

        Raises:
            Exception: whatever the generator raises.
        """
        results: queue.SimpleQueue[object] = queue.SimpleQueue()
        left = threading.Event()

        def run() -> None:
            items = work(self._local.watch)
            for item in items:
                if left.is_set():
                    return
                results.put(item)

        future = self._pool.submit(run)
        future.add_done_callback(lambda _: results.put(_END))
        try:
            while (item := results.get()) is not _END:
                yield item  # pyright: ignore[reportReturnType] only _END is not an Item
            future.result()
        finally:
            left.set()
            future.cancel()

    def close(self) -> None:
        """Wait for running work, then free the face trackers."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for watch in self._watches:
            watch.close()

    def _start(self) -> None:
        self._local.watch = FaceWatch()
        self._watches.append(self._local.watch)

"""Overlapping two stages: the next item is made in a thread of its own while one is being used."""

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

__all__ = ["ReadAhead", "read_ahead"]

Item = TypeVar("Item")

_LOOK_AGAIN_S = 0.1  # how soon the maker notices that nobody wants more


class ReadAhead(Generic[Item]):
    """Items that another thread makes ahead of their use, from the moment that this is made.

    The generator runs, and is closed, in that one thread; an error in it is raised where the items
    are used, after those before it. It pays where making an item waits for files or works outside
    Python, as decoding, face tracking and neural networks do. To be closed.
    """

    def __init__(self, items: Generator[Item, None, None], n_ahead: int = 1) -> None:
        """Begin.

        Args:
            items: makes the items; must not be used elsewhere.
            n_ahead: finished items that may wait.
        """
        self._items = items
        self._waiting: Queue[tuple[Any, BaseException | None, bool]] = Queue(maxsize=n_ahead)
        self._unwanted = threading.Event()
        self._maker = threading.Thread(target=self._make, name="read ahead", daemon=True)
        self._maker.start()

    def __iter__(self) -> Iterator[Item]:
        while not self._unwanted.is_set():
            try:
                item, error, is_end = self._waiting.get(timeout=1.0)
            except Empty:  # wakes up now and then, so that Ctrl-C is heard
                continue
            if error is not None:
                raise error
            if is_end:
                return
            yield item

    def close(self) -> None:
        """Wait for the item that is being made, and make no more."""
        self._unwanted.set()
        self._maker.join()

    def _make(self) -> None:
        try:
            for item in self._items:
                self._offer(item)
                if self._unwanted.is_set():
                    break
            self._items.close()
        except BaseException as error:  # belongs to whoever uses the items
            self._offer(None, error)
        else:
            self._offer(None, is_end=True)

    def _offer(
        self, item: Any, error: BaseException | None = None, *, is_end: bool = False
    ) -> None:
        while not self._unwanted.is_set():
            try:
                self._waiting.put((item, error, is_end), timeout=_LOOK_AGAIN_S)
            except Full:
                continue
            return


def read_ahead(items: Generator[Item, None, None], n_ahead: int = 1) -> Generator[Item, None, None]:
    """Pass on items that are made ahead of their use, see :class:`ReadAhead`, from the first on."""
    ahead = ReadAhead(items, n_ahead)
    try:
        yield from ahead
    finally:
        ahead.close()

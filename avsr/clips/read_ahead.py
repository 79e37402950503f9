"""Overlapping two stages: the next item is made in a thread of its own while one is being used."""

import threading
from collections.abc import Generator
from queue import Empty, Full, Queue
from typing import Any, TypeVar

Item = TypeVar("Item")

_LOOK_AGAIN_S = 0.1  # how soon the maker notices that nobody wants more


def read_ahead(items: Generator[Item, None, None], n_ahead: int = 1) -> Generator[Item, None, None]:
    """Pass on items that another thread makes ahead of their use.

    The generator runs, and is closed, in that one thread; an error in it is raised here, after the
    items before it. It pays where making an item waits for files or works outside Python, as
    decoding, face tracking and neural networks do.

    Args:
        items: makes the items; must not be used elsewhere.
        n_ahead: finished items that may wait.
    """
    waiting: Queue[tuple[Any, BaseException | None, bool]] = Queue(maxsize=n_ahead)
    unwanted = threading.Event()

    def offer(item: Any, error: BaseException | None = None, is_end: bool = False) -> None:
        while not unwanted.is_set():
            try:
                waiting.put((item, error, is_end), timeout=_LOOK_AGAIN_S)
            except Full:
                continue
            return

    def make() -> None:
        try:
            for item in items:
                offer(item)
                if unwanted.is_set():
                    break
            items.close()
        except BaseException as error:  # belongs to whoever uses the items
            offer(None, error)
        else:
            offer(None, is_end=True)

    maker = threading.Thread(target=make, name="read ahead", daemon=True)
    maker.start()
    try:
        while True:
            try:
                item, error, is_end = waiting.get(timeout=1.0)
            except Empty:  # wakes up now and then, so that Ctrl-C is heard
                continue
            if error is not None:
                raise error
            if is_end:
                return
            yield item
    finally:
        unwanted.set()
        maker.join()

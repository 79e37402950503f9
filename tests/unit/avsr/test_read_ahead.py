"""Items made in a thread ahead of their use."""

import threading
import time
from collections.abc import Generator

import pytest

from avsr.clips.read_ahead import read_ahead


def test_items_come_in_order_from_one_other_thread() -> None:
    threads = set()

    def numbers() -> Generator[int, None, None]:
        for number in range(20):
            threads.add(threading.get_ident())
            yield number

    assert list(read_ahead(numbers())) == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_making_and_using_overlap_within_the_bound() -> None:
    made = []

    def numbers() -> Generator[int, None, None]:
        for number in range(6):
            made.append(number)
            yield number

    ahead = read_ahead(numbers(), n_ahead=2)
    assert next(ahead) == 0
    deadline = time.monotonic() + 30
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]  # one in use, two waiting, one that has no place yet
    assert list(ahead) == [1, 2, 3, 4, 5]


def test_errors_come_after_the_items_before_them() -> None:
    def broken() -> Generator[int, None, None]:
        yield 1
        raise ValueError("no more")

    ahead = read_ahead(broken())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="no more"):
        next(ahead)
    assert not any(thread.name == "read ahead" for thread in threading.enumerate())


def test_what_is_left_early_is_closed_in_its_own_thread() -> None:
    closed_in = []

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 0
        finally:
            closed_in.append(threading.current_thread().name)

    ahead = read_ahead(endless())
    assert next(ahead) == 0
    ahead.close()
    assert closed_in == ["read ahead"]
    assert not any(thread.name == "read ahead" for thread in threading.enumerate())

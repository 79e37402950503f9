"""Stages add up, and streamed work is counted apart from what is done with it."""

import time
from collections.abc import Iterator

import pytest

from avsr.timings import Timings


def test_stages_add_up_even_after_an_error() -> None:
    timings = Timings()
    timings.add("a", 1.0)
    timings.add("b", 0.5)
    timings.add("a", 2.0)

    def failing() -> None:
        with timings.measure("b"):
            time.sleep(0.01)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 nothing else can raise it
        failing()
    assert timings.seconds["a"] == 3.0
    assert 0.51 <= timings.seconds["b"] < 5
    assert str(timings).startswith("a 3.00 s, b 0.5")


def test_items_are_measured_without_their_use() -> None:
    def slow() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.01)
            yield number

    timings = Timings()
    taken = []
    for number in timings.measure_items("make", slow()):
        taken.append(number)
        time.sleep(0.2)
    assert taken == [0, 1, 2]
    assert 0.03 <= timings.seconds["make"] < 0.5

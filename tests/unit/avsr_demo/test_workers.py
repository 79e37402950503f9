"""Threads with a face tracker each."""

import threading
from collections.abc import Iterator

import pytest

from avsr_demo import workers
from avsr_demo.limits import LineFullError
from avsr_demo.workers import Waiting, Workers


class _Watch:
    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setattr(workers, "FaceWatch", _Watch)
    made = Workers(2)
    yield made
    made.close()


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """One thread, and a line of two."""
    monkeypatch.setattr(workers, "FaceWatch", _Watch)
    made = Workers(1, most_waiting=2)
    yield made
    made.close()


def test_work_runs_on_the_thread_of_its_tracker(pool: Workers) -> None:
    def work(watch) -> Iterator[bool]:
        yield watch.thread is threading.current_thread()

    for _ in range(4):
        assert list(pool.stream(work)) == [True]


def test_two_visitors_are_served_at_once(pool: Workers) -> None:
    both_there = threading.Barrier(2, timeout=10)

    def work(watch) -> Iterator[object]:
        both_there.wait()
        yield watch

    streams = [pool.stream(work) for _ in range(2)]
    watches: list[object] = []
    threads = [
        threading.Thread(target=lambda stream=stream: watches.extend(stream)) for stream in streams
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)

    assert len(set(map(id, watches))) == 2


def test_errors_reach_the_visitor(pool: Workers) -> None:
    def work(watch) -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    stream = pool.stream(work)
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stream)


def test_work_ends_where_the_visitor_has_left(pool: Workers) -> None:
    ended = threading.Event()

    def work(watch) -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    stream = pool.stream(work)
    next(stream)
    stream.close()

    assert ended.wait(timeout=10)


def test_close_frees_every_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FaceWatch", _Watch)
    made = Workers(1)
    (watch,) = made.stream(lambda watch: iter([watch]))
    made.close()

    assert watch.closed  # pyright: ignore[reportAttributeAccessIssue]


class _Held:
    """Work that yields once, and then waits to be let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, watch) -> Iterator[str]:
        yield "begun"
        assert self.go.wait(timeout=30)
        yield "done"


def test_who_waits_is_told_the_place_until_the_turn_comes(one_worker: Workers) -> None:
    held = _Held()
    first = one_worker.stream(held)
    assert next(first) == "begun"
    second, third = (one_worker.stream(lambda watch: iter(["read"])) for _ in range(2))

    assert next(second) == Waiting(before=0)
    assert next(third) == Waiting(before=1)
    held.go.set()
    assert [item for item in second if not isinstance(item, Waiting)] == ["read"]
    assert [item for item in third if not isinstance(item, Waiting)] == ["read"]


def test_a_full_line_takes_nobody_until_somebody_leaves(one_worker: Workers) -> None:
    held = _Held()
    first = one_worker.stream(held)
    assert next(first) == "begun"
    waiting = [one_worker.stream(lambda watch: iter([1])) for _ in range(2)]
    for stream in waiting:
        assert isinstance(next(stream), Waiting)
    with pytest.raises(LineFullError, match="2 visitors wait already"):
        next(one_worker.stream(lambda watch: iter([1])))
    waiting[0].close()

    assert next(waiting[1]) == Waiting(before=0)
    assert next(one_worker.stream(lambda watch: iter([1]))) == Waiting(before=1)
    held.go.set()


def test_what_is_no_longer_wanted_ends_without_its_error(pool: Workers) -> None:
    wanted = True

    def work(watch) -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    stream = pool.stream(work, wanted=lambda: wanted)
    assert next(stream) == 1
    wanted = False

    assert list(stream) == []

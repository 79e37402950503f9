"""Work of several threads done in batches: whoever's turn it is takes along what waits.

A thread that is alone does not wait for others. Where several are at work, one waits a moment for
what they may bring; while a batch is being done, the next one gathers by itself.
"""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")

GATHER_S = 0.03  # longest wait for what others may bring


@dataclass(eq=False, kw_only=True)
class _Job(Generic[Value, Result]):
    """What one thread wants done, and what came of it."""

    value: Value
    kind: Hashable
    size: int
    result: Result | None = None
    error: Exception | None = None
    is_done: bool = False


class Together(Generic[Value, Result]):
    """Batches of one sort of work."""

    def __init__(self, do: Callable[[Sequence[Value]], Sequence[Result]], max_size: int) -> None:
        """Prepare for work.

        Args:
            do: does a batch; each result must be what its value would give alone.
            max_size: values are done together up to this sum of their sizes.
        """
        self._do, self._max_size = do, max_size
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._waiting: list[_Job[Value, Result]] = []
        self._n_at_work = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a thread is in here, it may still bring something."""
        with self._changed:
            self._n_at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_at_work -= 1
                self._changed.notify_all()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While a thread is in here, no batch is done."""
        with self._turn:
            yield

    def do(self, value: Value, kind: Hashable = None, size: int = 1) -> Result:
        """Have something done.

        Args:
            value: what.
            kind: only what is of one kind is done together.
            size: its share of a batch.

        Raises:
            Exception: whatever doing it alone raises.
        """
        job: _Job[Value, Result] = _Job(value=value, kind=kind, size=size)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()
            self._changed.wait_for(lambda: job.is_done or self._is_enough(), GATHER_S)
        with self._turn:
            if not job.is_done:
                self._do_with_others(job)
        if job.error is not None:
            raise job.error
        return job.result  # pyright: ignore[reportReturnType] that of a job without error

    def _is_enough(self) -> bool:
        """Whether nothing that could still come would make the next batch better."""
        n_waiting = len(self._waiting)
        return n_waiting >= self._n_at_work or sum(j.size for j in self._waiting) >= self._max_size

    def _do_with_others(self, job: _Job[Value, Result]) -> None:
        """Do a job and the oldest of those that fit; an error of the whole is nobody's."""
        batch = self._companions(job)
        try:
            try:
                self._do_batch(batch)
            except Exception:
                for one in batch:
                    try:
                        self._do_batch([one])
                    except Exception as error:  # raised again in the thread it belongs to
                        one.error, one.is_done = error, True
        finally:
            with self._changed:
                self._waiting = [one for one in self._waiting if not one.is_done and one != job]
                self._changed.notify_all()

    def _companions(self, job: _Job[Value, Result]) -> list[_Job[Value, Result]]:
        with self._changed:
            waiting = list(self._waiting)
        batch, size = [job], job.size
        for other in waiting:
            if other != job and other.kind == job.kind and size + other.size <= self._max_size:
                batch.append(other)
                size += other.size
        return batch

    def _do_batch(self, jobs: Sequence[_Job[Value, Result]]) -> None:
        results = self._do([job.value for job in jobs])
        for job, result in zip(jobs, results, strict=True):
            job.result, job.is_done = result, True

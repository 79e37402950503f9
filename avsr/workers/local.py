"""Work spread over processes that survives the death of a worker, and that dies with its parent."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalWorkers:
    """Processes of this machine; see :class:`avsr.workers.Workers`.

    Args:
        n: processes, at least 1.
    """

    def __init__(self, n: int) -> None:
        self.n = n

    def share(self, n_threads: int) -> int:
        """CPU threads for each."""
        return max(1, n_threads // self.n)

    def device(self, wanted: str) -> str:
        """The device that was asked for: all share what this machine has."""
        return wanted

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Result | None]]:
        """Run a function on many tasks in fresh processes, as :class:`avsr.workers.Workers` says.

        Whatever dies with a process is done again, one task at a time.
        """
        waiting = deque(tasks)
        while waiting:
            # Twice as many tasks as workers are handed over, so that none waits for its next one.
            suspects = deque((yield from _run_pool(work, waiting, self.n, 2 * self.n)))
            while suspects:  # one at a time, so that it shows which one ends its process
                for task in (yield from _run_pool(work, suspects, 1, 1)):
                    yield task, None


def _run_pool(
    work: Callable[[Task], Result], waiting: deque[Task], n_workers: int, n_handed_over: int
) -> Generator[tuple[Task, Result], None, list[Task]]:
    """Do tasks until none is left or a worker dies; returns those that were at work then."""
    running: dict[Future[Any], Task] = {}
    # Fresh processes: a fork would copy locks that threads of native libraries hold.
    pool = ProcessPoolExecutor(
        n_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(pickle.dumps(work),),
    )
    try:
        while waiting or running:
            while waiting and len(running) < n_handed_over:
                running[pool.submit(_do, waiting[0])] = waiting[0]
                waiting.popleft()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                yield running.pop(future), result
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
    return []


_work: list[Callable[[Any], Any]] = []  # of this process, if it is a worker


def _do(task: Any) -> Any:
    return _work[0](task)


def _start_worker(work: bytes) -> None:
    """Get ready; the work is sent once, and keeps what it loads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work[:] = [pickle.loads(work)]  # of our parent


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Work spread over processes that survives the death of a worker, and that dies with its parent."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_tasks(
    work: Callable[[Task], Result], tasks: Iterable[Task], n_workers: int
) -> Iterator[tuple[Task, Result | None]]:
    """Run a function on many tasks in fresh processes.

    Args:
        work: a function of a module; what it raises ends the run.
        tasks: values that can be pickled.
        n_workers: processes, at least 1.

    Yields:
        Each task with its result in the order of completion; None where the task ended its process
        (a crash in native code, or the system ran out of memory).
    """
    waiting = deque(tasks)
    while waiting:
        # Twice as many tasks as workers are handed over, so that none waits for its next one.
        suspects = deque((yield from _run_pool(work, waiting, n_workers, 2 * n_workers)))
        while suspects:  # one at a time, so that it shows which one ends its process
            for task in (yield from _run_pool(work, suspects, 1, 1)):
                yield task, None


def _run_pool(
    work: Callable[[Task], Result], waiting: deque[Task], n_workers: int, n_handed_over: int
) -> Generator[tuple[Task, Result], None, list[Task]]:
    """Do tasks until none is left or a worker dies; returns those that were at work then."""
    running: dict[Future[Result], Task] = {}
    # Fresh processes: a fork would copy locks that threads of native libraries hold.
    pool = ProcessPoolExecutor(
        n_workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    try:
        while waiting or running:
            while waiting and len(running) < n_handed_over:
                running[pool.submit(work, waiting[0])] = waiting[0]
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


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

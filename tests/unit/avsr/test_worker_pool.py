"""Work in processes: all of it done, a dying worker costs only the task that killed it."""

import os

import pytest

from avsr.worker_pool import run_tasks


def _square(number: int) -> int:
    if number == 13:
        os._exit(139)  # as a crash in native code would end it
    return number * number


def _fail(number: int) -> int:
    raise OSError(28, "No space left on device", f"{number}")


def test_a_crash_costs_one_task() -> None:
    tasks = [*range(4), 13, *range(20, 24)]
    results = dict(run_tasks(_square, tasks, 2))
    assert results == {task: None if task == 13 else task * task for task in tasks}


def test_errors_end_the_run() -> None:
    with pytest.raises(OSError, match="No space left"):
        list(run_tasks(_fail, [1, 2], 1))


def test_no_task_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a pool was started")

    monkeypatch.setattr("avsr.worker_pool.ProcessPoolExecutor", refuse)
    assert list(run_tasks(_square, [], 4)) == []

"""Work in processes: all of it done, a dying worker costs only the task that killed it."""

import os
import sys

import pytest

from avsr.cli import run
from avsr.errors import UsageError
from avsr.workers import LocalWorkers, RayCluster, open_workers


def _square(number: int) -> int:
    if number == 13:
        os._exit(139)  # as a crash in native code would end it
    return number * number


def _fail(number: int) -> int:
    raise OSError(28, "No space left on device", f"{number}")


class _Counting:
    """Work that keeps something: how often this worker was asked."""

    n_asked = 0

    def __call__(self, task: int) -> tuple[int, int]:
        self.n_asked += 1
        return os.getpid(), self.n_asked


def test_a_crash_costs_one_task() -> None:
    tasks = [*range(4), 13, *range(20, 24)]
    results = dict(LocalWorkers(2).run(_square, tasks))
    assert results == {task: None if task == 13 else task * task for task in tasks}


def test_a_worker_keeps_its_work() -> None:
    work = _Counting()
    asked = [result or (0, 0) for _, result in LocalWorkers(1).run(work, range(3))]
    assert sorted(asked) == [(asked[0][0], n) for n in (1, 2, 3)]
    assert work.n_asked == 0


def test_errors_end_the_run() -> None:
    with pytest.raises(OSError, match="No space left"):
        list(LocalWorkers(1).run(_fail, [1, 2]))


def test_no_task_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a pool was started")

    monkeypatch.setattr("avsr.workers.local.ProcessPoolExecutor", refuse)
    assert list(LocalWorkers(4).run(_square, [])) == []


def test_threads_are_shared() -> None:
    assert [LocalWorkers(n).share(4) for n in (1, 2, 3, 8)] == [4, 2, 1, 1]


@pytest.mark.parametrize("address", ["talk.mp4", "films/", "ray://10.0.0.1:10001", "10.0.0.1", ""])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(UsageError, match="is no address; give auto, local or HOST:PORT"):
        RayCluster(address=address)


@pytest.mark.parametrize("gpus", [-1.0, 1.5])
def test_a_worker_has_a_share_of_a_gpu_or_whole_ones(gpus: float) -> None:
    with pytest.raises(UsageError, match=r"a share such as 0\.25, or a whole number"):
        RayCluster(gpus_per_worker=gpus)


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with (
        pytest.raises(UsageError, match=r"pip install 'avsr\[ray\]'"),
        open_workers(1, RayCluster()),
    ):
        pass


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["transcribe", "-", "--ray", "auto"], "--ray: standard input is read alone"),
        (["transcribe", "a.wav", "--ray", "a.wav"], "is no address"),
        (["transcribe", "a.wav", "--gpus-per-worker", "1"], "--gpus-per-worker goes with --ray"),
        (["prepare", "folder", "-o", "out", "--ray", "nowhere"], "is no address"),
        (["evaluate", "--manifest", __file__, "--ray", "auto"], "(--output, --cache)"),
    ],
)
def test_options_that_cannot_be(
    command: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line

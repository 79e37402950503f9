"""What workers are to those who have work, and the choice among them."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol, TypeVar

from avsr.errors import UsageError
from avsr.progress import Say, say_nothing
from avsr.workers.local import LocalWorkers
from avsr.workers.ray_cluster import RayCluster

__all__ = ["Workers", "open_workers"]

Task = TypeVar("Task")
Result = TypeVar("Result")

_QUIET = {  # read when Ray is imported: it tells nobody how it is used, and prints no line
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Workers(Protocol):
    """Several processes, here or elsewhere, that take tasks one at a time."""

    def share(self, n_threads: int) -> int:
        """CPU threads for each worker, where one process alone would use ``n_threads``."""
        ...

    def device(self, wanted: str) -> str:
        """The PyTorch device that a worker computes on, where ``wanted`` was asked for."""
        ...

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Result | None]]:
        """Run a function on many tasks.

        Args:
            work: a function of a module, or an object of such a class that can be called. Each
                worker has it to itself and keeps it, with what it holds: a model is loaded once.
                What it raises ends the run.
            tasks: values that can be pickled.

        Yields:
            Each task with its result in the order of completion; None where the task ended the
            process of every worker that took it (a crash in native code, or no memory left).
        """
        ...


@contextmanager
def open_workers(
    n: int, cluster: RayCluster | None = None, device: str = "cpu", say: Say = say_nothing
) -> Generator[Workers, None, None]:
    """The workers of one run.

    Args:
        n: how many; 0 is as many as a cluster has room for.
        cluster: where they work; None is processes of this machine.
        device: what the work was asked to compute on.
        say: told which cluster it is, and when a worker is lost.

    Raises:
        UsageError: the cluster cannot be reached, has no room for a worker, or needs an extra that
            is not installed.
    """
    if cluster is None:
        yield LocalWorkers(n)
        return
    if find_spec("ray") is None:
        raise UsageError("clusters need Ray: pip install 'avsr[ray]'")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    from avsr.workers.cluster import connected  # Ray: seconds

    with connected(cluster, n, device, say) as workers:
        yield workers

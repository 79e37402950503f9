"""Workers on a Ray cluster: a process each, which keeps its work; what is lost is done again."""

import logging
import pickle
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import ray

from avsr.errors import UsageError, one_line
from avsr.progress import Say
from avsr.workers.crew import Crew, Waiting
from avsr.workers.place import Setting
from avsr.workers.ray_cluster import HERE, RayCluster

Task = TypeVar("Task")
Result = TypeVar("Result")

_PATIENCE_S = 10.0  # until a cluster answers


class ClusterWorkers:
    """Processes of a cluster that this process is connected to; see :class:`avsr.workers.Workers`.

    Args:
        n: how many, at least 1; those that there is no room for yet start when there is.
        gpus: of each.
        cpus: of each.
        say: told when one is lost.
    """

    def __init__(self, n: int, gpus: float, cpus: int, say: Say) -> None:
        self.n = n
        self._gpus, self._cpus = gpus, cpus
        self._say = say

    def share(self, n_threads: int) -> int:
        """CPU threads for each: what was asked for, whatever this machine has."""
        return self._cpus

    def device(self, wanted: str) -> str:
        """Ray shows each worker those GPUs that it may use."""
        return "cuda" if self._gpus else "cpu"

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Result | None]]:
        """Run a function on many tasks, as :class:`avsr.workers.Workers` says.

        Raises:
            InputError: if no worker can start.
        """
        waiting: Waiting = deque((task, 0) for task in tasks)
        if not waiting:
            return
        crew = Crew(
            Setting.of_this_process(), pickle.dumps(work), self._gpus, self._cpus, self._say
        )
        try:
            while waiting or crew.n_tasks:
                crew.fill(min(self.n, len(waiting) + crew.n_tasks))
                crew.hand_out(waiting)
                yield from crew.collect(waiting)
        finally:
            crew.dismiss()


@contextmanager
def connected(
    cluster: RayCluster, n: int, device: str, say: Say
) -> Generator[ClusterWorkers, None, None]:
    """Be connected to a cluster for a while; one that is in use already stays so.

    Args:
        cluster: which.
        n: workers; 0 is as many as there is room for.
        device: what the work was asked to compute on.
        say: told which cluster it is, and when a worker is lost.

    Raises:
        UsageError: it cannot be reached, or has no room for a worker.
    """
    gpus = cluster.gpus_per_worker
    if device.partition(":")[0] not in ("auto", "cpu", "cuda") or (device == "cpu" and gpus):
        message = f"device {device} with {gpus or 0:g} GPUs for a worker: cannot be on a cluster"
        raise UsageError(f"{message}; try auto", settings=("device", "gpus_per_worker"))
    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(cluster.address)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if gpus is None:
            is_there = any(node.get("GPU") for node in nodes)
            gpus = float(device.startswith("cuda") or (device == "auto" and is_there))
        cpus = cluster.cpus_per_worker
        room = sum(_room(node, gpus, cpus) for node in nodes)
        if not room:
            message = f"Ray at {cluster.address}: no node has CPUs {cpus}, GPUs {gpus:g}"
            raise UsageError(f"{message} for a worker", settings=("cluster", "gpus_per_worker"))
        cores = sum(node.get("CPU", 0) for node in nodes)
        n_gpus = sum(node.get("GPU", 0) for node in nodes)
        say(
            f"Ray: nodes {len(nodes)}, CPUs {cores:g}, GPUs {n_gpus:g}; workers {n or room}, each "
            f"with CPUs {cpus}, GPUs {gpus:g}"
        )
        yield ClusterWorkers(n or room, gpus, cpus, say)
    finally:
        if is_ours:
            ray.shutdown()


def _connect(address: str) -> None:
    try:
        if ":" in address:  # Ray tries for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
        ray.init(
            address=address,
            include_dashboard=False if address == HERE else None,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except Exception as error:  # of many kinds: nobody answers, other versions, ...
        message = f"Ray at {address}: {one_line(error)[:200]}"
        raise UsageError(
            f"{message}; start a cluster with ray start, or give {HERE}", settings=("cluster",)
        ) from error


def _room(resources: dict[str, float], gpus: float, cpus: int) -> int:
    """How many workers a node has room for."""
    by_cpus = int(resources.get("CPU", 0) / cpus)
    # A worker with a share of a GPU has it from one GPU: three shares of 0.3 go into each.
    per_gpu = int(1 / gpus) if 0 < gpus <= 1 else 1 / gpus if gpus else 0
    return min(by_cpus, int(resources.get("GPU", 0) * per_gpu)) if gpus else by_cpus

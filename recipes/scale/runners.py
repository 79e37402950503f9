"""What the runners themselves cost and bring, without a model: tasks of a set work each.

    python recipes/scale/runners.py --work-ms 150 --tasks 200 --rounds 3

Times count from the first result to the last, so that starting is apart: with `--work-ms 0` they
are what handing out a task costs. This machine plays the nodes of the cluster, one core each.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ray.cluster_utils import Cluster

from avsr.workers import LocalWorkers, RayCluster, Workers, open_workers


@contextmanager
def _nodes(n: int) -> Iterator[Workers]:
    """Workers on a cluster of so many nodes."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        for _ in range(n - 1):
            cluster.add_node(num_cpus=1)
        with open_workers(0, RayCluster(address=str(cluster.address))) as workers:
            yield workers
    finally:
        cluster.shutdown()


def _busy(work_ms: float) -> Callable[[bytes], bytes]:
    """Work that keeps a core busy for so long, by what it does alone here."""
    n = 100_000
    started = time.process_time()
    hashlib.pbkdf2_hmac("sha256", b"", b"", n)
    per_ms = n / (1000 * (time.process_time() - started))
    return partial(hashlib.pbkdf2_hmac, "sha256", b"", iterations=max(1, round(work_ms * per_ms)))


def _seconds(workers: Workers, work: Callable[[bytes], bytes], n_tasks: int) -> tuple[float, float]:
    """Until the first result, and from it to the last."""
    started = first = time.perf_counter()
    for n_done, _ in enumerate(workers.run(work, [b"%d" % n for n in range(n_tasks)])):
        if not n_done:
            first = time.perf_counter()
    return first - started, time.perf_counter() - first


def main() -> None:
    """Measure in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work-ms", type=float, default=150.0)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - it is 15, that of processes is 0
    work = _busy(options.work_ms)
    found: dict[str, list[float]] = {}
    for number in range(options.rounds):
        for n in (1, 2):
            for kind in ("processes", "nodes"):
                load = os.getloadavg()[0]
                if kind == "nodes":
                    with _nodes(n) as workers:
                        start_s, run_s = _seconds(workers, work, options.tasks)
                else:
                    start_s, run_s = _seconds(LocalWorkers(n), work, options.tasks)
                found.setdefault(f"{n} {kind}", []).append(run_s)
                print(
                    f"round {number + 1}, {n} {kind}: first result after {start_s:.1f} s, the "
                    f"others in {run_s:.2f} s, load before {load:.1f}",
                    flush=True,
                )
    middle = {way: statistics.median(values) for way, values in found.items()}
    print(f"two nodes against one: {middle['1 nodes'] / middle['2 nodes']:.2f} times")
    for n in (1, 2):
        more = middle[f"{n} nodes"] - middle[f"{n} processes"]
        print(
            f"nodes against processes, {n}: {more / middle[f'{n} processes']:+.1%}, "
            f"{1000 * more / options.tasks:+.2f} ms a task"
        )


if __name__ == "__main__":
    main()

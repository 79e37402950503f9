"""What a second node of a Ray cluster brings, and what Ray costs against processes.

    python recipes/scale/measure.py --manifest s1_test.jsonl --work runs/ray

This machine plays the nodes, with one core each. In every round each way transcribes the same
clips; all must write the same bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray.cluster_utils import Cluster

from avsr.manifest import read_manifest


@contextmanager
def _nodes(n: int) -> Iterator[str]:
    """A cluster of so many nodes; its address."""
    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(n - 1):
            cluster.add_node(num_cpus=1)
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def _seconds(words: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "avsr", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started


def _results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def main() -> None:
    """Measure, and print a line for each run and what they say together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="grid-tiny")
    parser.add_argument("--modality", default="auto")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - it is 15, that of --jobs is 0
    clips = [one.path for one in read_manifest(options.manifest)]
    films = options.work / "films"
    films.mkdir(parents=True, exist_ok=True)
    for number in range(options.clips):  # clips of a short manifest come again
        source = clips[number % len(clips)]
        shutil.copyfile(source, films / f"{number:04d}{source.suffix}")
    seconds: dict[str, list[float]] = {}
    expected: dict[str, bytes] = {}
    for number in range(options.rounds):
        for way in ("1 process", "1 node", "2 processes", "2 nodes"):
            n, _, kind = way.partition(" ")
            out = options.work / "texts"
            shutil.rmtree(out, ignore_errors=True)
            words = ["transcribe", str(films), "--model", options.model, "--device", "cpu"]
            words += ["--modality", options.modality, "--threads", "1", "-f", "srt"]
            words += ["-o", str(out), "--quiet", "--jobs", n]
            load = os.getloadavg()[0]
            if kind.startswith("node"):
                with _nodes(int(n)) as address:
                    taken = _seconds([*words, "--ray", address])
            else:
                taken = _seconds(words)
            seconds.setdefault(way, []).append(taken)
            found = _results(out)
            expected = expected or found
            alike = "same bytes" if found == expected else "OTHER BYTES"
            print(
                f"round {number + 1}, {way}: {taken:.1f} s, {len(found)} results, {alike}, load "
                f"before {load:.1f}",
                flush=True,
            )
    middle = {way: statistics.median(values) for way, values in seconds.items()}
    print(f"two nodes against one: {middle['1 node'] / middle['2 nodes']:.2f} times")
    for n, kind in ((1, ""), (2, "es")):
        more = middle[f"{n} node{'s' * (n > 1)}"] / middle[f"{n} process{kind}"] - 1
        print(f"Ray against --jobs {n}: {more:+.1%}")


if __name__ == "__main__":
    main()

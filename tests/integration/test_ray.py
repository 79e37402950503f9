"""Work on two nodes of a Ray cluster that this machine plays: the same bytes, nothing lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avsr.errors import UsageError
from avsr.workers import RayCluster, open_workers

pytest.importorskip("ray", reason="clusters need Ray: pip install 'avsr[ray]'")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "demo" / "samples"


def _environment() -> dict[str, str]:
    paths = [str(ROOT), *(str(ROOT / name) for name in ("frontends", "adapters", "demo"))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node with one core, where a second one may be added."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("RAY_worker_niceness", "0")  # else workers starve beside other work
        patched.setenv("PYTHONPATH", _environment()["PYTHONPATH"])
        nodes = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False},
        )
        try:
            yield nodes
        finally:
            nodes.shutdown()


def _address(cluster: Any) -> RayCluster:
    return RayCluster(address=cluster.address)


def _slow_square(task: tuple[int, str]) -> tuple[int, int]:
    """A number squared, by which process; its number goes to a file once it has begun."""
    number, folder = task
    with (Path(folder) / "begun").open("a") as begun:
        begun.write(f"{number} {os.getpid()}\n")
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return number * number, os.getpid()


def _fail(task: int) -> int:
    raise OSError(28, "No space left on device", f"{task}")


def _begun(folder: Path) -> list[tuple[int, int]]:
    lines = (folder / "begun").read_text().splitlines()
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


def test_a_task_that_kills_its_workers_is_given_up(cluster: Any, tmp_path: Path) -> None:
    said: list[str] = []
    tasks = [(number, str(tmp_path)) for number in (1, 2, 13, 3, 4)]
    with open_workers(0, _address(cluster), say=said.append) as workers:
        found = dict(workers.run(_slow_square, tasks))
    squares = {number: result and result[0] for (number, _), result in found.items()}
    assert squares == {1: 1, 2: 4, 13: None, 3: 9, 4: 16}
    n_tries = [number for number, _ in _begun(tmp_path)].count(13)
    assert n_tries in (3, 4)  # the first death may have been put down to what was done before it
    assert sum("was lost" in line for line in said) == n_tries
    assert "nodes 1, CPUs 1, GPUs 0; workers 1, each with CPUs 1, GPUs 0" in said[0]


def test_what_the_work_raises_ends_the_run(cluster: Any) -> None:
    with open_workers(1, _address(cluster)) as workers, pytest.raises(OSError, match="No space"):
        list(workers.run(_fail, [1, 2]))


def test_there_must_be_room_and_a_cluster(cluster: Any) -> None:
    asked = RayCluster(address=cluster.address, gpus_per_worker=0.5)
    with (
        pytest.raises(UsageError, match=r"no node has CPUs 1, GPUs 0\.5"),
        open_workers(1, asked, "auto"),
    ):
        pass
    nowhere = RayCluster(address="127.0.0.1:9")
    with (
        pytest.raises(UsageError, match="start a cluster with ray start"),
        open_workers(1, nowhere),
    ):
        pass


def test_a_killed_worker_and_a_lost_node_lose_nothing(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=2)
    tasks = [(number, str(tmp_path)) for number in range(100, 140)]
    found: dict[int, int] = {}
    with open_workers(0, _address(cluster)) as workers:
        for (number, _), result in workers.run(_slow_square, tasks):
            assert result is not None
            found[number] = result[0]
            if len(found) == 10:
                os.kill(_begun(tmp_path)[-1][1], signal.SIGKILL)
            if len(found) == 20:
                cluster.remove_node(node, allow_graceful=False)
    assert found == {number: number * number for number, _ in tasks}
    assert len(_begun(tmp_path)) > len(tasks)  # what was lost was begun again


def _avsr(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avsr", *map(str, words)]
    environment = {**_environment(), "AVSR_DEVICE": "cpu"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short films, one of which is none."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(3):
        (folder / f"{number}.mp4").write_bytes((SAMPLES / "clean.mp4").read_bytes())
    (folder / "3.mp4").write_text("no film")
    return folder


def test_files_come_out_alike(cluster: Any, films: Path, tmp_path: Path) -> None:
    told, on_ray = {}, ["--ray", cluster.address]
    words = ["transcribe", films, "-m", "grid-tiny", "-f", "all", "--threads", 1]
    for name, options in {"here": ["-j", 1], "ray": on_ray}.items():
        done = _avsr(*words, "-o", tmp_path / name, *options)
        assert done.returncode == 1, done.stderr
        told[name] = done
    found = [_contents(tmp_path / name) for name in ("here", "ray")]
    assert len(found[0]) == 15
    for name in list(found[0]):
        if name.endswith(".json"):
            here, there = (json.loads(contents.pop(name)) for contents in found)
            assert here.pop("timings").keys() == there.pop("timings").keys()
            assert here == there
    assert found[0] == found[1]
    assert told["ray"].stdout == told["here"].stdout
    lines = told["ray"].stderr.splitlines()
    assert "1 of 4 files failed; the others are done" in lines
    ours = ("note:", "Ray: ", "files read", "avsr: ", "1 of 4 files", str(films))
    assert [line for line in lines if not line.startswith(ours)] == []
    again = _avsr(*words, "-o", tmp_path / "ray", "--skip-existing", *on_ray)
    assert again.stdout == ""
    assert again.stderr.count("skipped, its results are there") == 3


def test_a_corpus_is_prepared_and_evaluated_alike(cluster: Any, tmp_path: Path) -> None:
    manifest = SAMPLES / "manifest.jsonl"
    here, there = tmp_path / "here", tmp_path / "ray"
    for folder, options in ((here, ["-j", 1]), (there, ["--ray", cluster.address])):
        folder.mkdir()
        done = _avsr("prepare", manifest, "-o", folder / "data", *options)
        assert done.returncode == 0, done.stderr
        data = ["--manifest", folder / "data" / "manifest.jsonl", "-o", folder / "results.json"]
        done = _avsr("evaluate", *data, "-m", "grid-tiny", "--batch-size", 1, *options)
        assert done.returncode == 0, done.stderr
    assert _contents(here) == _contents(there)

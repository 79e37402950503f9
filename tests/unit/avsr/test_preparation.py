"""What a preparation keeps, makes again and says when it cannot go on; processes left out."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import avsr
from avsr.clips.clip import load_clip
from avsr.datasets import Dataset, SourceClip
from avsr.errors import InputError, UsageError
from avsr.manifest import Utterance
from avsr.preparation.prepare import prepare_dataset
from avsr.workers import LocalWorkers
from tests.clips import write_clip
from tests.signals import tone


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three sounds: ``a``, ``b`` and ``crash``."""
    clips = []
    for index, name in enumerate(("a", "b", "crash")):
        path = write_clip(tmp_path / f"{name}.wav", sound=tone(0.5 + 0.1 * index))
        clips.append(SourceClip(utterance=Utterance(id=f"x/{name}", path=path, text="one")))
    return Dataset(layout="folder", clips=tuple(clips))


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the clips that are worked on, in this process; ``crash`` kills its worker."""
    ids: list[str] = []

    def run_here(
        workers: LocalWorkers, work: Callable[[Any], Any], tasks: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            ids.append(task.utterance.id)
            yield task, None if task.utterance.id.endswith("crash") else work(task)

    monkeypatch.setattr(LocalWorkers, "run", run_here)
    monkeypatch.setattr("avsr.preparation.prepare._worker_tracker", lambda: None)
    return ids


def test_one_call_from_python_prepares(done: list[str], dataset: Dataset, tmp_path: Path) -> None:
    said: list[str] = []
    lines = (
        {"id": clip.utterance.id, "path": clip.utterance.path.name, "text": "one"}
        for clip in dataset.clips
    )
    manifest = tmp_path / "all.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = avsr.PreparationSettings(source=manifest, output=tmp_path / "out", limit=2, jobs=1)
    report = avsr.prepare(settings, say=said.append)
    assert (report.layout, report.n_clips, report.n_failed) == ("jsonl", 2, 0)
    assert done == ["x/a", "x/b"]
    assert said[-1] == f"-> {tmp_path / 'out' / 'manifest.jsonl'}"
    with pytest.raises(UsageError, match="is a file; give a folder"):
        avsr.prepare(replace(settings, output=manifest))


def test_only_what_is_missing_changed_or_failed_is_made(
    dataset: Dataset, done: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = prepare_dataset(dataset, out)
    assert done == ["x/a", "x/b", "x/crash"]
    assert (report.n_clips, report.n_failed, report.n_kept) == (3, 1, 0)
    crashed = next(problem for problem in report.problems if problem.kind == "unreadable")
    assert crashed.id == "x/crash"
    assert crashed.detail.endswith("the process that read it died")

    done.clear()
    write_clip(tmp_path / "b.wav", sound=tone(0.9))
    (tmp_path / "a.wav").unlink()  # what was made of it stays
    report = prepare_dataset(dataset, out)
    assert done == ["x/b", "x/crash"]
    assert report.n_kept == 1
    assert load_clip(out / "clips/x/a.npz").duration_s == pytest.approx(0.5)
    assert load_clip(out / "clips/x/b.npz").duration_s == pytest.approx(0.9)


def test_a_missing_source_is_a_failure_until_it_is_there(
    dataset: Dataset, done: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a.wav").rename(tmp_path / "elsewhere.wav")
    report = prepare_dataset(dataset, tmp_path / "out")
    assert report.n_failed == 2
    assert "a.wav: no such file" in report.problems[0].detail
    (tmp_path / "elsewhere.wav").rename(tmp_path / "a.wav")
    assert prepare_dataset(dataset, tmp_path / "out").n_failed == 1


def test_a_full_disk_ends_the_run_with_one_line(
    dataset: Dataset, done: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("avsr.preparation.prepare.save_clip", full)
    with pytest.raises(InputError, match=r"No space left on device.*run again"):
        prepare_dataset(dataset, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.jsonl").exists()

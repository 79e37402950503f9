"""Whatever is given to ``avsr transcribe``: a result or a one-line error, in time, and no more."""

import errno
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from avsr.cli import run
from avsr.recognizer import Recognizer, load
from tests.clips import write_clip
from tests.hostile import BAD, GOOD
from tests.signals import tone

LIMIT_S = 60  # for one input
SLOW = ("8k.mp4",)  # writing it takes seconds


@pytest.fixture(scope="module")
def recognizer(tiny_folder: Path) -> Recognizer:
    return load(tiny_folder, "cpu")


@pytest.fixture(autouse=True)
def _one_model_in_time(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Load the model once for all tests, wait for no pipe, and stop what takes too long."""

    def too_long(*_arguments: object) -> None:
        raise TimeoutError(f"not done after {LIMIT_S} s")

    monkeypatch.setattr("avsr.inputs._WRITER_S", 0.5)
    monkeypatch.setattr("avsr.recognizer.load", lambda *_arguments, **_options: recognizer)
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_there_are_enough_of_them() -> None:
    assert len(GOOD) + len(BAD) >= 110


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in GOOD],
)
def test_what_can_be_read_gives_a_result(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = GOOD[name](tmp_path)
    output = tmp_path / "texts"
    assert run(["transcribe", "-f", "txt,json", "-o", str(output), "--", str(path)]) == 0
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err
    assert "Error" not in captured.err
    results = {file.suffix: file for file in output.iterdir()}
    assert set(results) == {".txt", ".json"}
    values = json.loads(results[".json"].read_text())
    assert values["text"] == results[".txt"].read_text().strip() == captured.out.strip()
    assert values["modality"] in ("audio", "video", "av")
    assert values["duration"] > 0


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_gives_one_line(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = BAD[name](tmp_path)
    assert run(["transcribe", "-o", str(tmp_path / "texts"), str(path)]) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert [line for line in captured.err.splitlines() if not line.startswith("note: ")] == [
        line for line in captured.err.splitlines() if line.startswith(f"avsr: {path}: ")
    ]
    assert captured.err.count("avsr: ") == 1
    assert not any(word in captured.err for word in ("Traceback", "--debug", "Error"))
    assert list((tmp_path / "texts").iterdir()) == []


def test_bad_files_among_good_ones_cost_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = [BAD[name](tmp_path) for name in ("empty.mp4", "pipe.mp4", "truncated.mp4", "folder")]
    good = [write_clip(tmp_path / f"{name}.wav", sound=tone(0.5)) for name in "ab"]
    files = [good[0], *bad, good[1]]
    output = tmp_path / "texts"
    assert run(["transcribe", "-o", str(output), *map(str, files)]) == 1
    assert sorted(file.name for file in output.iterdir()) == ["a.txt", "b.txt"]
    complaints = [line for line in capfd.readouterr().err.splitlines() if "avsr: " in line]
    assert [any(f"avsr: {path}: " in line for line in complaints) for path in bad] == [True] * 4


def test_a_file_that_may_not_be_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "secret.wav", sound=tone(0.5))
    path.chmod(0)
    if os.geteuid() == 0:  # may read everything

        def refuse(*_arguments: object, **_options: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(av, "open", refuse)
    assert run(["transcribe", str(path)]) == 1
    assert f"avsr: {path}: may not be read; check its permissions" in capfd.readouterr().err


def test_a_full_disk_loses_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "voice.wav", sound=tone(0.5))
    output = tmp_path / "texts"
    assert run(["transcribe", "-o", str(output), str(path)]) == 0
    before = (output / "voice.txt").read_text()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run(["transcribe", "-o", str(output), str(path)]) == 1
    assert "cannot write" in capfd.readouterr().err
    assert [file.name for file in output.iterdir()] == ["voice.txt"]
    assert (output / "voice.txt").read_text() == before


def test_an_output_folder_that_cannot_be_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "voice.wav", sound=tone(0.5))
    assert run(["transcribe", "-o", str(path / "texts"), str(path)]) == 2
    assert "cannot make this folder" in capfd.readouterr().err

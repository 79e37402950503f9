"""The command as a user types it, on the bundled model and the samples in the repository."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import avsr
from avsr.manifest import read_manifest
from avsr.text import count_word_errors
from tests.shared import GRID

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "demo" / "samples"


def _avsr(*arguments: object) -> subprocess.CompletedProcess[str]:
    packages = [str(ROOT / name) for name in ("", "frontends", "adapters", "demo")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}
    command = [sys.executable, "-m", "avsr", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {u.path.stem: u.text for u in read_manifest(SAMPLES / "manifest.jsonl")}


def test_samples_are_read(texts: dict[str, str], tmp_path: Path) -> None:
    """Sound and lips, lips alone, and lips that save what babble hides; one file is missing."""
    files = [SAMPLES / "clean.mp4", SAMPLES / "none.mp4", SAMPLES / "silent.mp4"]
    done = _avsr("transcribe", *files, "--timings", "-f", "json", "-o", tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [texts["clean"], texts["silent"]]
    for line in done.stderr.splitlines():
        assert line.startswith(
            ("note: ", "avsr: ", "timings: ", "1 of 3", "2 of 3", "3 of 3", str(SAMPLES))
        ), line
    assert "note: grid-tiny reads only" in done.stderr
    assert f"avsr: {SAMPLES / 'none.mp4'}: no such file" in done.stderr
    clean = json.loads((tmp_path / "clean.json").read_text())
    silent = json.loads((tmp_path / "silent.json").read_text())
    assert (clean["modality"], clean["audio_rate"], clean["video_rate"]) == ("av", 4, 2)
    assert (silent["modality"], silent["reason"]) == ("video", "there is no sound")
    assert clean["face"]["coverage"] == 1.0


def test_lips_help_in_babble(texts: dict[str, str]) -> None:
    recognizer = avsr.load()
    errors = {}
    for modality in ("audio", "av"):
        result = recognizer.transcribe(SAMPLES / "babble_0db.mp4", modality=modality)
        errors[modality] = count_word_errors([texts["babble_0db"]], [result.text]).n_errors
    assert errors["av"] < errors["audio"]
    assert errors["av"] <= 1


def test_nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object) -> None:
        raise AssertionError(f"tried to reach the network: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    assert avsr.load("grid-tiny").transcribe(SAMPLES / "silent.mp4").text


@pytest.mark.shared
def test_real_speech_is_read(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    options = ["--limit", 8, "--modality", "av,audio", "--output", output]
    done = _avsr("evaluate", "--manifest", GRID / "s1_test.jsonl", *options)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert [(row["modality"], row["n_words"]) for row in rows] == [("av", 48), ("audio", 48)]
    assert all(row["wer"] <= 0.15 for row in rows), done.stdout

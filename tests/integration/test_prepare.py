"""Preparing and evaluating corpora in their own layouts, made of a few drawn clips."""

import json
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avsr.cli import run
from avsr.clips.clip import load_clip
from avsr.clips.read import MouthTracker, read_clip, read_utterance
from avsr.datasets import read_dataset
from avsr.manifest import read_manifest
from tests.clips import write_clip
from tests.corpora import (
    Spoken,
    arrange_autoavsr,
    arrange_fairseq,
    arrange_grid,
    arrange_lrs2,
    arrange_lrs3,
)
from tests.signals import portrait, specks, tone

ROOT = Path(__file__).parents[2]
CODES = ("bbaf3s", "bbaf4p")
N_FRAMES = 50


def _drawn_clip(folder: Path, number: int) -> Spoken:
    """Two seconds of a portrait with a tone; AAC rounds the sound up to whole blocks."""
    path = write_clip(
        folder / f"drawn{number}.mp4",
        [portrait()] * N_FRAMES,
        sound=tone(2.0, 200.0 + 50 * number),
        sound_codec="aac",
    )
    words = [("bin", 0.2, 0.5), ("blue", 0.6, 0.9), ("at", 1.2, 1.4), ("in", 1.5, 1.9)]
    return Spoken(media=path, text="bin blue at in", words=words)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[Spoken]:
    """Two clips with their word times, and with mouth crops and sound as files of their own."""
    folder = tmp_path_factory.mktemp("clips")
    tracker = MouthTracker()
    with tracker:
        return [_with_crops(folder, _drawn_clip(folder, i), tracker) for i in range(len(CODES))]


def _with_crops(folder: Path, spoken: Spoken, tracker: MouthTracker) -> Spoken:
    clip = read_clip(spoken.media, tracker=tracker)
    assert clip.mouth is not None
    assert clip.audio is not None
    frames = [np.repeat(frame[..., None], 3, axis=-1) for frame in clip.mouth]
    mouth = write_clip(folder / f"{spoken.media.stem}-mouth.mp4", frames)
    sound = folder / f"{spoken.media.stem}.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.rint(np.clip(clip.audio, -1, 1) * 32767).astype(np.int16).tobytes())
    return Spoken(
        media=spoken.media, text=spoken.text, words=spoken.words, mouth=mouth, sound=sound
    )


def _entries(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    return {entry["id"]: entry for entry in map(json.loads, lines)}


def _evaluate(model: Path, output: Path, *source: str) -> dict[str, Any]:
    arguments = ["--model", str(model), "--device", "cpu", "--output", str(output)]
    assert run(["evaluate", *source, *arguments, "--modality", "av,audio,video"]) == 0
    return json.loads(output.read_text())


def test_lrs3_is_prepared_resumed_and_evaluated_without_decoding_again(
    spoken: list[Spoken],
    tiny_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = arrange_lrs3(tmp_path / "lrs3", {"test": [spoken[0]] * 4})
    clips, out = root / "test" / "0Fi83BHQsMA", tmp_path / "out"
    damaged = clips / "00001.mp4"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    (clips / "00002.txt").unlink()
    write_clip(clips / "00003.mp4", specks(25), sound=tone(1.0), sound_codec="aac")
    prepare = ["prepare", str(root), "-o", str(out), "--split", "test", "--jobs", "1"]

    assert run(prepare) == 0
    said = capsys.readouterr().err
    entries = _entries(out)
    assert set(entries) == {f"test/0Fi83BHQsMA/0000{i}" for i in (0, 1, 3)}
    whole, broken, faceless = entries.values()
    assert whole["face_coverage"] == 1.0
    assert whole["text"] == spoken[0].text.upper()
    assert len(whole["words"]) == len(spoken[0].words)
    assert whole["n_frames"] == N_FRAMES
    assert whole["duration"] == max(whole["n_frames"] / 25, whole["n_samples"] / 16_000)
    assert "failure" in broken
    assert faceless["low_coverage"] is True
    for kind, number in (("unreadable", 1), ("missing label", 2), ("no face", 3)):
        assert f"{kind}: test/0Fi83BHQsMA/0000{number}: " in said
    assert "problems: 1 missing label, 1 unreadable, 1 no face" in said
    assert json.loads((out / "report.json").read_text())["n_failed"] == 1

    kept = out / whole["path"]
    written = kept.stat().st_mtime_ns
    manifest = (out / "manifest.jsonl").read_text()
    assert run([*prepare, "--strict"]) == 1
    assert "2 clips were prepared already" in capsys.readouterr().err
    assert kept.stat().st_mtime_ns == written
    assert (out / "manifest.jsonl").read_text() == manifest

    raw = _evaluate(tiny_folder, tmp_path / "raw.json", "--data", str(root), "--split", "test")

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("decoded or tracked again")

    monkeypatch.setattr("avsr.clips.read.ClipReader", refuse)
    prepared = _evaluate(
        tiny_folder, tmp_path / "prepared.json", "--manifest", str(out / "manifest.jsonl")
    )
    assert raw["settings"]["data"]["layout"] == "lrs3"
    assert raw["settings"]["data"]["left_out"] == 1
    assert prepared["rows"] == raw["rows"]
    assert prepared["rows"][0]["n_utterances"] == 3
    for ours, theirs in zip(prepared["utterances"], raw["utterances"], strict=True):
        assert ours["hypotheses"] == theirs["hypotheses"]
        assert ours["used"] == theirs["used"]
    assert prepared["utterances"][0]["hypotheses"][0] != ""


def test_pretrain_clips_are_cut_as_their_words_say(spoken: list[Spoken], tmp_path: Path) -> None:
    root = arrange_lrs2(tmp_path / "lrs2", {"pretrain": [spoken[0]]})
    out = tmp_path / "out"
    assert run(["prepare", str(root), "-o", str(out), "--max-seconds", "1", "-j", "1"]) == 0
    entries = list(_entries(out).values())
    assert len(entries) >= 2
    assert [entry["id"][-3:] for entry in entries] == [f"_{i:02d}" for i in range(len(entries))]
    assert " ".join(entry["text"] for entry in entries) == spoken[0].text.upper()
    whole = read_clip(spoken[0].media, picture=False).audio
    assert whole is not None
    pieces = read_dataset(root).clips[0].words
    assert pieces[0].text == entries[0]["words"][0][0]
    for entry in entries:
        assert 0 < entry["n_frames"] <= 25
        assert entry["n_samples"] == 640 * entry["n_frames"]
    last = load_clip(out / entries[-1]["path"]).audio
    assert last is not None
    end = int(np.ceil(round(spoken[0].words[-1][2] * 25, 6))) * 640
    np.testing.assert_allclose(last, whole[end - len(last) : end], atol=1e-4)
    assert len((out / "pretrain.jsonl").read_text().splitlines()) == len(entries)


@pytest.mark.parametrize("layout", ["lrs3", "lrs2", "autoavsr", "fairseq", "grid"])
def test_every_layout_gives_the_same_clips(
    layout: str, spoken: list[Spoken], tmp_path: Path
) -> None:
    root = tmp_path / "corpus"
    if layout == "lrs3":
        arrange_lrs3(root, {"test": spoken})
    elif layout == "lrs2":
        arrange_lrs2(root, {"test": spoken})
    elif layout == "autoavsr":
        arrange_autoavsr(root, spoken)
    elif layout == "fairseq":
        arrange_fairseq(root, spoken)
    else:
        arrange_grid(root, dict(zip(CODES, spoken, strict=True)))
    dataset = read_dataset(root)
    assert dataset.layout == layout
    assert [u.text.lower() for u in dataset.utterances] == [clip.text for clip in spoken]
    crops_given = layout in ("autoavsr", "fairseq")
    for utterance, clip in zip(dataset.utterances, spoken, strict=True):
        read = read_utterance(utterance, picture=crops_given)
        whole = read_clip(clip.media, picture=False)
        assert read.audio is not None
        assert whole.audio is not None
        heard, expected = (np.clip(audio, -1, 1) for audio in (read.audio, whole.audio))
        np.testing.assert_allclose(heard, expected, atol=1e-4)
        if crops_given:
            assert read.mouth is not None
            assert read.mouth.shape[1:] == (96, 96)
            assert abs(len(read.mouth) / 25 - whole.duration_s) < 0.1


def test_a_killed_run_leaves_nothing_half_done_and_goes_on(media: Path, tmp_path: Path) -> None:
    short = Spoken(media=media / "av.mp4", text="one second")
    root = arrange_lrs3(tmp_path / "lrs3", {"trainval": [short] * 5})
    out = tmp_path / "out"
    command = [sys.executable, "-m", "avsr", "prepare", str(root), "-o", str(out), "--jobs", "1"]
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "frontends", "adapters"))
    environment = {**os.environ, "PYTHONPATH": paths}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    worker_ids: list[int] = []
    deadline = time.monotonic() + 300
    while not list(out.rglob("[0-9]*.npz")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
        worker_ids = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(500):  # its workers end by themselves
        if not any(_runs(worker) for worker in worker_ids):
            break
        time.sleep(0.02)
    assert worker_ids
    assert not any(_runs(worker) for worker in worker_ids)
    assert not (out / "manifest.jsonl").exists()
    finished = {path: path.stat().st_mtime_ns for path in out.rglob("[0-9]*.npz")}
    assert 0 < len(finished) < 5
    for path in finished:
        assert load_clip(path).mouth is not None
    (out / "clips" / "trainval" / ".avsr-00009.part").write_bytes(b"PK")
    foreign = out / "clips" / ".keep"
    foreign.touch()

    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert f"{len(finished)} clips were prepared already" in again.stderr
    utterances = read_manifest(out / "manifest.jsonl")
    assert len(utterances) == 5
    assert all(load_clip(utterance.path).mouth is not None for utterance in utterances)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert list(out.rglob(".*")) == [foreign]


def _children(process_id: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    except OSError:
        pytest.skip("needs /proc to see the workers")
    return [int(child) for child in tasks.split()]


def _runs(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

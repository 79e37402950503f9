"""``avsr transcribe`` where two people are in the picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import avsr
from avsr.cli import run
from avsr.clips.mouth_video import read_mouth_video
from avsr.manifest import read_manifest
from avsr_frontends.media import iter_video, read_audio
from avsr_frontends.timeline import TimedFrame, timed_frames
from tests.clips import write_clip
from tests.signals import portrait, tone

SAMPLES = Path(__file__).parents[2] / "demo" / "samples"


@pytest.fixture(scope="module")
def couple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two portraits, of 160 pixels each, the right one mirrored, with a tone."""
    face = cv2.resize(portrait(), (160, 160), interpolation=cv2.INTER_AREA)
    picture = np.concatenate([face, face[:, ::-1]], axis=1)
    folder = tmp_path_factory.mktemp("couple")
    return write_clip(folder / "couple.mp4", [picture] * 15, sound=tone(0.6), sound_codec="aac")


def _run(tiny_folder: Path, *arguments: object) -> int:
    options = ["--model", str(tiny_folder), "--keep-unsure", *map(str, arguments)]
    return run(["transcribe", *options])


def test_all_faces_are_read_and_labelled(
    tiny_folder: Path, couple: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lips = tmp_path / "lips"
    assert _run(tiny_folder, couple, "--face", "all", "--save-lips", lips) == 0
    captured = capsys.readouterr()
    assert [line[:7] for line in captured.out.splitlines()] == ["face 1:", "face 2:"]
    assert "video (the lips of 2 face(s), each for itself)" in captured.err
    files = sorted(lips.iterdir())
    assert [file.name for file in files] == ["couple.mp4-face1.mp4", "couple.mp4-face2.mp4"]
    left, right = (read_mouth_video(file)[0].astype(float) for file in files)
    assert left.shape == right.shape == (15, 96, 96)
    assert np.abs(left - right).mean() > 5  # not the same lips
    assert np.abs(left - right[:, :, ::-1]).mean() < 12  # but mirrored ones


def test_all_faces_come_from_one_reading(
    tiny_folder: Path, couple: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def watched(path: Path, kind: str, *arguments: Any, **options: Any) -> Iterator[TimedFrame]:
        opened.append(kind)
        return timed_frames(path, kind, *arguments, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("avsr_frontends.media.timed_frames", watched)
    recognizer = avsr.load(tiny_folder, "cpu")
    result = recognizer.transcribe(
        couple, face="all", keep_unsure=True, save_lips=tmp_path / "couple"
    )
    assert opened == ["video"]
    assert {segment.face for segment in result.segments} == {1, 2}
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.undo()
    for line, face in zip(result.text.splitlines(), (1, 2), strict=True):
        alone = recognizer.transcribe(couple, face=face, modality="video", keep_unsure=True)
        assert line == f"face {face}: {alone.text}"


def test_somebody_who_comes_later_has_lines_too(tiny_folder: Path, tmp_path: Path) -> None:
    face = cv2.resize(portrait(), (160, 160), interpolation=cv2.INTER_AREA)
    alone = np.concatenate([face, np.full_like(face, 80)], axis=1)
    both = np.concatenate([face, face[:, ::-1]], axis=1)
    path = tmp_path / "later.mp4"
    write_clip(path, [alone] * 400 + [both] * 50, options={"preset": "ultrafast", "g": "25"})
    recognizer = avsr.load(tiny_folder, "cpu")
    result = recognizer.transcribe(path, face="all", keep_unsure=True)
    assert [line[:7] for line in result.text.splitlines()] == ["face 1:", "face 2:"]
    assert result.duration_s == pytest.approx(18, abs=0.1)
    assert any("face 2: face found in only 1" in warning for warning in result.warnings)


def test_a_named_face_and_one_that_is_not_there(
    tiny_folder: Path, couple: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for face in ("1", "2", "largest", "speaking"):
        assert _run(tiny_folder, couple, "--face", face, "--modality", "video") == 0
        texts.append(capsys.readouterr().out)
    assert texts[2] in texts[:2]
    assert texts[3] in texts[:2]
    assert _run(tiny_folder, couple, "--face", "7") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"avsr: {couple}: shows 2 faces, there is no face 7" in captured.err


def test_a_region_of_the_picture_hides_the_rest(
    tiny_folder: Path, couple: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [couple, "--face", "all", "--save-lips", tmp_path]
    assert _run(tiny_folder, *arguments, "--roi", "160,0,160,160") == 0
    assert capsys.readouterr().out.startswith("face 1: ")
    assert [file.name for file in tmp_path.iterdir()] == ["couple.mp4-face1.mp4"]
    assert _run(tiny_folder, couple, "--roi", "200,0,160,160") == 1
    complaint = f"avsr: {couple}: the part 200,0,160,160 leaves the picture, which is 320x160"
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--face", "nobody"), ("--face", "0"), ("--roi", "1,2,3"), ("--roi", "0,0,0,9")],
)
def test_what_is_no_face_or_region_is_wrong_usage(
    tiny_folder: Path, couple: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tiny_folder, couple, option, value) == 2
    complaint = capsys.readouterr().err
    assert f"'{value}' is no " in complaint
    assert complaint.endswith(f" ({option}). See avsr transcribe --help.\n")


def test_saved_lips_are_whole_or_not_there(
    tiny_folder: Path, couple: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert _run(tiny_folder, couple, "--save-lips", tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_rates_can_be_left_to_a_preset_or_the_input(
    tiny_folder: Path, couple: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, rates in (
        (["--quality", "fast"], "audio rate 16, video rate 5"),
        (["--max-tokens-per-second", "18"], "audio rate 4, video rate 5"),
        (["--rate", "auto"], "audio rate "),
    ):
        assert _run(tiny_folder, couple, *option) == 0
        assert rates in capsys.readouterr().err


def test_the_one_who_talks_is_read_beside_one_who_does_not(tmp_path: Path) -> None:
    sample = SAMPLES / "clean.mp4"
    text = {u.path.name: u.text for u in read_manifest(SAMPLES / "manifest.jsonl")}[sample.name]
    talking = list(iter_video(sample))
    height = talking[0].shape[0]
    still = cv2.resize(portrait(), (height, height), interpolation=cv2.INTER_AREA)
    path = tmp_path / "two.mkv"
    frames = [np.concatenate([still, frame], axis=1) for frame in talking]
    write_clip(path, frames, sound=read_audio(sample))
    recognizer = avsr.load("grid-tiny", "cpu")
    beside = recognizer.transcribe(path, modality="av")
    assert beside.text == text
    assert recognizer.transcribe(path, modality="av", face=2).text == text

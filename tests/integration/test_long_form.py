"""A long recording of one sentence, said again and again: its words, their times, and no others."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import avsr
from avsr.clips import sources
from avsr.manifest import read_manifest
from avsr.text import count_word_errors
from avsr.transcription import TranscriptionResult
from recipes.grid.long_form import Part, assemble, words_in_gaps

SAMPLES = Path(__file__).parents[2] / "demo" / "samples"


@pytest.fixture(scope="module")
def sentence() -> dict:
    lines = (SAMPLES / "manifest.jsonl").read_text().splitlines()
    return next(values for values in map(json.loads, lines) if values["id"] == "clean")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Part]]:
    (clean,) = [u for u in read_manifest(SAMPLES / "manifest.jsonl") if u.id == "clean"]
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return path, assemble([clean] * 3, path, seconds=30, seed=1)


@pytest.fixture(scope="module")
def result(recording: tuple[Path, list[Part]]) -> TranscriptionResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "STRETCH_S", 8)
        return avsr.load("grid-tiny").transcribe(recording[0])


def test_every_sentence_is_a_segment_and_gaps_have_no_words(
    recording: tuple[Path, list[Part]], result: TranscriptionResult
) -> None:
    _, parts = recording
    clips = [part for part in parts if part.kind == "clip"]
    assert {part.kind for part in parts} > {"clip"}
    assert len(result.segments) == len(clips)
    for segment, clip in zip(result.segments, clips, strict=True):
        assert clip.start - 0.8 < segment.start < segment.end < clip.end + 0.8
        assert segment.no_speech_prob < 0.1
    errors = count_word_errors([" ".join(clip.text for clip in clips)], [result.text])
    assert errors.wer <= 0.06  # one word of eighteen
    assert words_in_gaps([segment.to_dict() for segment in result.segments], parts) == []
    assert result.duration_s == pytest.approx(parts[-1].end, abs=0.1)


def test_words_begin_when_they_are_said(
    recording: tuple[Path, list[Part]], result: TranscriptionResult, sentence: dict
) -> None:
    clips = [part for part in recording[1] if part.kind == "clip"]
    differences: list[float] = []
    for segment, clip in zip(result.segments, clips, strict=True):
        for word, (said, start, _) in zip(segment.words, sentence["words"], strict=False):
            if word.word == said:
                differences.append(abs(word.start - clip.start - start))
    assert len(differences) >= 15
    assert np.mean(differences) <= 0.08


def test_lips_alone_find_the_sentences_too(recording: tuple[Path, list[Part]]) -> None:
    path, parts = recording
    result = avsr.load("grid-tiny").transcribe(path, modality="video", end=parts[2].end)
    (clip,) = [part for part in parts[:3] if part.kind == "clip"]
    (segment,) = result.segments
    assert clip.start - 0.8 < segment.start < segment.end < clip.end + 0.8
    assert segment.words


@pytest.mark.slow
@pytest.mark.parametrize("wait_s", [0.5, 3.0, 6.0, 9.0])
def test_ctrl_c_leaves_whole_files_or_none(
    recording: tuple[Path, list[Part]], tmp_path: Path, wait_s: float
) -> None:
    command = [sys.executable, "-m", "avsr", "transcribe", str(recording[0]), "-f", "all"]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(wait_s)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert "Traceback" not in messages
    assert process.returncode in (0, 130, -signal.SIGINT)
    visible = sorted(path.suffix for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert visible in ([], [".json", ".srt", ".tsv", ".txt", ".vtt"]) or process.returncode == 130
    for path in tmp_path.glob("*.json"):
        assert json.loads(path.read_text())["segments"]

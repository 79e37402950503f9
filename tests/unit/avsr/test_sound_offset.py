"""Sound and lips out of step: how far is measured, told, and kept from misleading."""

from pathlib import Path

import numpy as np
import pytest

import avsr
from avsr.recognition.sound_offset import OffsetMeter, agreement, offset_doubts
from avsr_frontends.media import iter_video, read_audio
from tests.clips import write_clip

SAMPLE = Path(__file__).parents[3] / "demo" / "samples" / "clean.mp4"
TEXT = "set blue with t one please"


def tokens(n_frames: int, moved: int = 0) -> np.ndarray:
    """[T, 9] probabilities: six tokens, one after the other."""
    values = np.full((n_frames, 9), 0.001)
    for token in range(6):
        first = 10 + 9 * token + moved
        values[max(0, first) : max(0, first + 4), token] = 0.9
    return values


@pytest.mark.parametrize("moved", [0, 5, -5, 12, -9, 30])
def test_the_agreement_peaks_at_the_offset(moved: int) -> None:
    meter = OffsetMeter()
    meter._agreement += agreement(tokens(100, moved), tokens(75))
    assert meter.offset_s == pytest.approx(moved / 25)
    assert meter.is_misleading == (abs(moved) >= 8)


def test_without_evidence_nobody_is_accused() -> None:
    assert OffsetMeter().offset_s is None
    meter = OffsetMeter()
    generator = np.random.default_rng(0)
    heard, seen = (generator.dirichlet(np.ones(20) / 5, 75) for _ in range(2))
    meter._agreement += agreement(heard, seen)
    assert meter.offset_s is None
    assert not meter.is_misleading
    silence = np.full((75, 9), 0.001)
    assert agreement(silence, tokens(75)).max() == 0


@pytest.mark.parametrize("n_frames", [1, 2, 12, 48, 49, 52, 120])
def test_clips_of_any_length_are_compared(n_frames: int) -> None:
    for other in (1, n_frames, n_frames + 7):
        found = agreement(tokens(n_frames), tokens(other))
        assert found.shape == (101,)
        assert (found >= 0).all()
        assert (found[:50][::-1][max(n_frames, other) - 1 :] == 0).all()


def test_an_offset_is_told_in_words() -> None:
    assert offset_doubts(None) == offset_doubts(0.0) == offset_doubts(-0.2) == []
    assert offset_doubts(1.52) == ["the sound is 1.5 s later than the lips"]
    assert offset_doubts(-0.48) == ["the sound is 0.5 s earlier than the lips"]


@pytest.fixture(scope="module")
def recognizer() -> avsr.Recognizer:
    return avsr.load("grid-tiny", "cpu")


@pytest.mark.parametrize("offset_s", [0.0, 0.1, -0.1, 0.5, -0.4, 1.0, 1.5])
def test_a_film_whose_sound_was_moved(
    recognizer: avsr.Recognizer, tmp_path: Path, offset_s: float
) -> None:
    sound = read_audio(SAMPLE)
    n_moved = round(abs(offset_s) * 16_000)
    moved = np.pad(sound, (n_moved, 0)) if offset_s > 0 else sound[n_moved:]
    path = write_clip(tmp_path / "moved.mkv", list(iter_video(SAMPLE)), sound=moved)
    result = recognizer.transcribe(path)
    assert result.text == TEXT
    assert result.sound_offset_s == pytest.approx(offset_s, abs=0.09)
    assert result.to_dict()["sound_offset"] == pytest.approx(offset_s, abs=0.09)
    told = [warning for warning in result.warnings if "than the lips" in warning]
    assert len(told) == (abs(offset_s) > 0.25)
    read = {segment.modality or result.modality for segment in result.segments}
    assert read == ({"audio"} if abs(offset_s) > 0.3 else {"av"})
    asked = recognizer.transcribe(path, modality="av", num_beams=1)
    if abs(offset_s) in (0.5, 0.4):  # what was asked for is done, and doubted
        assert asked.modality == "av"
        assert any("than the lips" in warning for warning in asked.warnings)

"""Long inputs on a tiny model: stretches give what the whole gives, and interrupted runs go on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avsr
from avsr.clips import sources
from avsr.clips.buffer import ClipBuffer
from avsr.clips.clip import Clip
from avsr.clips.reader import ClipReader
from avsr.clips.wanted import Wanted
from avsr.errors import InputError, UsageError
from avsr.recognition import long_form
from avsr.recognition.request import Request
from avsr.recognition.speech_evidence import Evidence
from avsr.recognizer import Progress
from avsr.timings import Timings
from tests.clips import write_clip
from tests.signals import portrait, tone

BURSTS = ((1.0, 2.6), (4.2, 5.0), (7.4, 8.8), (11.0, 12.4), (14.0, 15.4), (18.2, 19.6))


def _speech(seconds: float = 20.0) -> np.ndarray:
    waveform = np.zeros(round(seconds * 16_000), dtype=np.float32)
    for index, (start, end) in enumerate(BURSTS):
        first, last = round(start * 16_000), round(end * 16_000)
        if last <= len(waveform):
            waveform[first:last] = tone(end - start, 150.0 + 40 * index)
    return waveform


def _loud_is_voice(clip: Clip) -> Evidence:
    """What the voice detector would say if tones were voices."""
    if clip.audio is None:
        return Evidence(motion=clip.lip_motion)
    frames = np.pad(clip.audio, (0, -len(clip.audio) % 640)).reshape(-1, 640)
    voice = (np.abs(frames).max(axis=1) > 0.01).astype(np.float32)
    return Evidence(voice=voice, motion=clip.lip_motion)


@pytest.fixture
def recognizer(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> avsr.Recognizer:
    monkeypatch.setattr(long_form, "gather_evidence", _loud_is_voice)
    return avsr.load(tiny_folder, device="cpu")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("long") / "talk.wav", sound=_speech())


def test_pieces_follow_speech_and_cover_it(recognizer: avsr.Recognizer, recording: Path) -> None:
    result = recognizer.transcribe(recording)
    assert len(result.segments) == len(BURSTS)
    for segment, (start, end) in zip(result.segments, BURSTS, strict=True):
        assert start - 0.8 <= segment.start <= start
        assert end <= segment.end <= end + 0.8
    assert result.duration_s == pytest.approx(20.0)
    assert result.text == " ".join(segment.text for segment in result.segments)


@pytest.mark.parametrize(("stretch_s", "long_s"), [(2, 60), (3, 60), (7, 20)])
def test_stretches_give_what_the_whole_gives(
    recognizer: avsr.Recognizer,
    recording: Path,
    monkeypatch: pytest.MonkeyPatch,
    stretch_s: int,
    long_s: int,
) -> None:
    """Where the first is shorter, too."""
    whole = recognizer.transcribe(recording)
    monkeypatch.setattr(sources, "STRETCH_S", stretch_s)
    monkeypatch.setattr(sources, "_LONG_S", long_s)
    parts = recognizer.transcribe(recording)
    assert [(s.start, s.end, s.text) for s in parts.segments] == [
        (s.start, s.end, s.text) for s in whole.segments
    ]
    assert parts.duration_s == whole.duration_s
    assert list(recognizer.segments(recording)) == list(parts.segments)


@pytest.mark.parametrize(("seconds", "lengths"), [(29, [15, 14]), (37, [5, 10, 15, 7])])
def test_a_long_file_begins_with_a_short_stretch(
    tmp_path: Path, seconds: int, lengths: list[int]
) -> None:
    """So that its first words come soon."""
    path = write_clip(tmp_path / "long.mkv", sound=tone(seconds))
    source = sources.Source(path, Wanted(), Timings())
    found = [clip.duration_s for clip, _ in source.clips()]
    assert found == pytest.approx(lengths, abs=0.05)


def test_start_and_end(recognizer: avsr.Recognizer, recording: Path) -> None:
    whole = recognizer.transcribe(recording)
    part = recognizer.transcribe(recording, start=6.0, end=13.6)
    assert part.duration_s == pytest.approx(7.6)
    assert [(s.start, s.end) for s in part.segments] == [
        (s.start, s.end) for s in whole.segments[2:4]
    ]
    with pytest.raises(UsageError, match=r"0 <= start < end, got 3\.0 and 2\.0"):
        recognizer.transcribe(recording, start=3.0, end=2.0)


def test_progress_counts_up_to_the_length(
    recognizer: avsr.Recognizer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "STRETCH_S", 4)
    seen: list[Progress] = []
    result = recognizer.transcribe(recording, on_progress=seen.append)
    done = [progress.done_s for progress in seen]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(20.0)
    assert [progress.total_s for progress in seen] == [pytest.approx(20.0)] * len(seen)
    assert sum((progress.segments for progress in seen), ()) == result.segments


def _interrupt_after(n_stretches: int) -> Callable[[Progress], None]:
    left = [n_stretches]

    def on_progress(progress: Progress) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.parametrize("n_stretches", [1, 3])
def test_an_interrupted_run_goes_on(
    recognizer: avsr.Recognizer,
    recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_stretches: int,
) -> None:
    monkeypatch.setattr(sources, "STRETCH_S", 4)
    whole = recognizer.transcribe(recording)
    partial = tmp_path / "partial"
    with pytest.raises(KeyboardInterrupt):
        recognizer.transcribe(recording, partial=partial, on_progress=_interrupt_after(n_stretches))
    assert partial.is_file()
    seen: list[Progress] = []
    result = recognizer.transcribe(recording, partial=partial, on_progress=seen.append)
    assert seen[0].done_s == seen[0].resumed_s > 0
    assert len(seen) <= 7 - n_stretches  # the first tells what had been done
    assert tuple(s for progress in seen for s in progress.segments) == result.segments
    assert [(s.start, s.end, s.text) for s in result.segments] == [
        (s.start, s.end, s.text) for s in whole.segments
    ]
    assert result.duration_s == pytest.approx(whole.duration_s)
    assert not partial.exists()


def test_what_was_done_otherwise_is_not_used(
    recognizer: avsr.Recognizer, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "STRETCH_S", 4)
    partial = tmp_path / "partial"
    for spoil in ("other rate", "torn file"):
        with pytest.raises(KeyboardInterrupt):
            recognizer.transcribe(recording, partial=partial, on_progress=_interrupt_after(2))
        if spoil == "torn file":
            partial.write_bytes(partial.read_bytes()[:-20])
        seen: list[Progress] = []
        rate = 16 if spoil == "other rate" else None
        recognizer.transcribe(recording, audio_rate=rate, partial=partial, on_progress=seen.append)
        assert seen[0].resumed_s == 0.0


def test_a_lasting_silence_is_a_success(recognizer: avsr.Recognizer, tmp_path: Path) -> None:
    silence = write_clip(tmp_path / "silence.wav", sound=np.zeros(16_000 * 8, np.float32))
    result = recognizer.transcribe(silence)
    assert (result.text, result.reason) == ("", "the sound is silent")
    hum = 1e-3 * np.random.default_rng(0).normal(size=16_000 * 8).astype(np.float32)
    quiet = recognizer.transcribe(write_clip(tmp_path / "hum.wav", sound=hum))
    assert (quiet.text, quiet.reason) == ("", "no voice is heard")


def test_pictures_can_be_an_array(recognizer: avsr.Recognizer) -> None:
    frames = np.stack([portrait()] * 10)
    seen = recognizer.transcribe(frames, keep_unsure=True)
    assert (seen.modality, seen.reason) == ("video", "there is no sound")
    assert seen.face is not None
    assert seen.face.coverage == 1.0
    with pytest.raises(InputError, match="no face was found in 10 frames"):
        recognizer.transcribe(np.zeros((10, 64, 64, 3), np.uint8))
    crops = np.random.default_rng(0).integers(0, 255, (25, 96, 96), dtype=np.uint8)
    assert recognizer.transcribe(crops).modality == "video"


def test_reading_in_stretches_gives_the_whole_clip(tmp_path: Path) -> None:
    face = portrait()
    frames = [np.roll(face, shift, axis=1) for shift in range(40)]
    path = write_clip(tmp_path / "film.mkv", frames, sound=tone(2.0))
    with ClipReader(path) as reader:
        whole = reader.read()
    buffer = ClipBuffer()
    with ClipReader(path) as reader:
        assert reader.duration_s == pytest.approx(2.0, abs=0.05)
        while (clip := reader.read(15)) is not None and clip.duration_s:
            buffer.append(clip)
    assert whole is not None
    assert whole.audio is not None
    assert buffer.clip.audio is not None
    assert np.array_equal(buffer.clip.audio, whole.audio)
    assert buffer.clip.mouth is not None
    assert whole.mouth is not None
    assert buffer.clip.mouth.shape == whole.mouth.shape == (40, 96, 96)
    difference = np.abs(buffer.clip.mouth.astype(int) - whole.mouth.astype(int))
    assert difference.mean() < 6  # the tracker starts afresh, so points differ a little


def test_buffer_fills_up_a_track_that_begins_late() -> None:
    buffer = ClipBuffer(10.0)
    motion = np.full(50, np.nan, dtype=np.float32)
    buffer.append(Clip(audio=np.ones(32_000, np.float32), lip_motion=motion))
    late: dict[str, Any] = {"mouth": np.ones((25, 96, 96), np.uint8)}
    late["lip_motion"] = np.full(25, 0.1, dtype=np.float32)
    buffer.append(Clip(audio=np.ones(16_000, np.float32), **late))
    clip = buffer.clip
    assert clip.mouth is not None
    assert clip.mouth[:, 0, 0].tolist() == [0] * 50 + [1] * 25
    assert clip.lip_motion is not None
    assert np.isfinite(clip.lip_motion).tolist() == [False] * 50 + [True] * 25
    buffer.drop_before(12.2)
    assert (buffer.start, buffer.end) == (12.2, pytest.approx(13.0))
    part = buffer.cut(12.4, 12.8)
    assert part.mouth is not None
    assert len(part.mouth) == 10


def test_segments_takes_a_request(recognizer: avsr.Recognizer, recording: Path) -> None:
    request = Request(audio_rate=16, end=6.0)
    found = list(recognizer.segments(recording, request))
    assert found == list(recognizer.transcribe(recording, audio_rate=16, end=6.0).segments)
    assert len(found) == 2
    assert replace(found[0], text="") != found[0]

"""Decoding: frame rates, timelines, rotation and sound."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from avsr_frontends.media import DecodeReport, MediaError, iter_video, probe, read_audio
from tests.clips import counter_frame, write_clip

DURATION_S = 2


def brightness(frame: np.ndarray) -> float:
    """The value that ``counter_frame`` drew, 0 to 1."""
    return (float(frame[8:24, 8:40].mean()) - 16) / 220


def ramp(times: np.ndarray) -> list[np.ndarray]:
    """One picture for each time, whose brightness tells the time."""
    return [counter_frame(time / DURATION_S) for time in times]


def shown_times(path: Path) -> np.ndarray:
    """When each decoded frame was taken, read from its brightness (s)."""
    return np.asarray([brightness(frame) * DURATION_S for frame in iter_video(path)])


@pytest.mark.parametrize("fps", [16, 24, 25, Fraction(30000, 1001), 30, 50, 60])
def test_any_frame_rate_becomes_25(tmp_path: Path, fps: Fraction) -> None:
    taken = np.arange(int(DURATION_S * fps)) / float(fps)
    path = write_clip(tmp_path / "clip.mp4", ramp(taken), fps=fps)
    times = shown_times(path)
    assert len(times) == round(len(taken) / fps * 25)
    middles = (np.arange(len(times)) + 0.5) / 25
    on_screen = taken[np.searchsorted(taken, middles + 1e-6, side="right") - 1]
    np.testing.assert_allclose(times, on_screen, atol=0.016)


def test_variable_frame_rate_follows_the_timestamps(tmp_path: Path) -> None:
    taken = np.concatenate([[0], np.sort(np.random.default_rng(0).uniform(0.01, 1.9, 60))])
    path = write_clip(tmp_path / "clip.mkv", ramp(taken), taken)
    times = shown_times(path)
    middles = (np.arange(len(times)) + 0.5) / 25
    on_screen = taken[np.searchsorted(taken, middles, side="right") - 1]
    assert np.mean(np.abs(times - on_screen) < 0.015) > 0.95  # Matroska rounds times to 1 ms


def test_long_pause_between_frames_is_held(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", ramp(np.array([0.0, 0.04, 1.6])), [0, 0.04, 1.6])
    times = shown_times(path)
    np.testing.assert_allclose(times[1:40], 0.04, atol=0.016)
    np.testing.assert_allclose(times[40:], 1.6, atol=0.016)


@pytest.mark.parametrize(
    ("degrees", "bright_corners"),
    [
        (0, [True, False, True, False]),
        (90, [False, False, True, True]),
        (180, [False, True, False, True]),
        (-90, [True, True, False, False]),
    ],
)
def test_rotation_is_applied(tmp_path: Path, degrees: int, bright_corners: list[bool]) -> None:
    path = write_clip(tmp_path / "clip.mp4", [counter_frame(0.9)] * 3, rotation=degrees)
    frame = next(iter_video(path))
    assert frame.shape == ((64, 96, 3) if degrees in (0, 180) else (96, 64, 3))
    assert frame.flags.c_contiguous
    corners = [frame[y, x, 1] > 100 for y in (5, -5) for x in (5, -5)]
    assert corners == bright_corners


def test_span_equals_that_part_of_the_whole(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * DURATION_S)
    taken = np.arange(25 * DURATION_S) / 25
    path = write_clip(tmp_path / "clip.mkv", ramp(taken), sound=sound)
    np.testing.assert_array_equal(read_audio(path, 0.5, 1.25), read_audio(path)[8_000:20_000])
    whole = list(iter_video(path))
    np.testing.assert_array_equal(np.stack(list(iter_video(path, 0.52, 1.2))), whole[13:30])


@pytest.mark.parametrize(("sound_start", "picture_start"), [(0.5, 0.0), (0.0, 0.5), (0.0, 0.0)])
def test_offsets_between_sound_and_picture(
    tmp_path: Path, sound_start: float, picture_start: float
) -> None:
    sound = np.zeros(16_000)
    sound[8_000] = 0.9  # half a second into the sound
    taken = np.arange(25) / 25
    path = write_clip(
        tmp_path / "clip.mkv",
        ramp(taken),
        taken + picture_start,
        sound=sound,
        sound_start=sound_start,
    )
    info = probe(path)
    assert info.audio_start_s == pytest.approx(sound_start, abs=0.002)
    assert info.video_start_s == pytest.approx(picture_start, abs=0.002)
    heard = read_audio(path)
    assert np.argmax(np.abs(heard)) == pytest.approx(8_000 + 16_000 * sound_start, abs=20)
    times = shown_times(path)
    assert len(times) == 25 + round(25 * picture_start)
    held = round(25 * picture_start)
    np.testing.assert_allclose(times[:held], 0, atol=0.016)
    np.testing.assert_allclose(times[held + 1 :], taken[1:], atol=0.045)


def test_small_lead_of_sound_does_not_shift_the_frame_grid(tmp_path: Path) -> None:
    taken = np.arange(25) / 25
    path = write_clip(tmp_path / "clip.mkv", ramp(taken), taken + 0.03, sound=np.zeros(16_000))
    np.testing.assert_allclose(shown_times(path), taken, atol=0.016)


@pytest.mark.parametrize(
    ("rate", "codec", "suffix"),
    [(8_000, "pcm_s16le", "wav"), (44_100, "flac", "flac"), (48_000, "aac", "mp4")],
)
def test_sound_becomes_16_khz_mono(tmp_path: Path, rate: int, codec: str, suffix: str) -> None:
    time = np.arange(rate) / rate
    sound = np.stack([0.6 * np.sin(2 * np.pi * 440 * time), np.zeros(rate)], axis=1)
    path = write_clip(tmp_path / f"clip.{suffix}", sound=sound, sample_rate=rate, sound_codec=codec)
    heard = read_audio(path)
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(16_000, abs=700)  # a coder may add one block of silence
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4_000, 12_000) / 16_000)
    np.testing.assert_allclose(heard[4_000:12_000], expected, atol=0.02)


def test_probe_describes_the_file(tmp_path: Path) -> None:
    frames = ramp(np.arange(30) / 30)
    info = probe(write_clip(tmp_path / "both.mp4", frames, fps=30, sound=np.zeros(16_000)))
    assert (info.has_audio, info.has_video, info.width, info.height) == (True, True, 96, 64)
    assert info.fps == pytest.approx(30)
    assert info.duration_s == pytest.approx(1, abs=0.1)
    assert info.sample_rate == 16_000


def test_missing_track_says_what_to_use(tmp_path: Path) -> None:
    silent = write_clip(tmp_path / "silent.mp4", ramp(np.arange(5) / 25))
    spoken = write_clip(tmp_path / "spoken.wav", sound=np.zeros(1_600))
    assert not probe(silent).has_audio
    assert not probe(spoken).has_video
    with pytest.raises(MediaError, match=r"has no sound$"):
        read_audio(silent)
    with pytest.raises(MediaError, match=r"has no picture$"):
        next(iter_video(spoken))


def test_decoding_is_a_stream(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", ramp(np.arange(50) / 25))
    frames = iter_video(path)
    assert brightness(next(frames)) == pytest.approx(0, abs=0.01)
    del frames  # a reader may stop early


def test_intact_file_has_no_warnings(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", ramp(np.arange(50) / 25), sound=np.zeros(32_000))
    report = DecodeReport()
    list(iter_video(path, report=report))
    read_audio(path, report=report)
    assert report.warnings == []

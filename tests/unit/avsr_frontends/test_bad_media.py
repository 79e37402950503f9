"""Files that are missing, empty, cut off, damaged or something else."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from avsr_frontends.media import DecodeReport, MediaError, iter_video, probe, read_audio
from tests.clips import write_clip

N_FRAMES = 75


@pytest.fixture
def moving_pattern() -> list[np.ndarray]:
    y, x = np.mgrid[:144, :176]
    phases = np.arange(N_FRAMES)[:, None, None]
    grey = 128 + 80 * np.sin(x / 9 + phases / 3) + 20 * np.sin(y / 5 - phases / 2)
    return list(np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8))


def write_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def overwrite(path: Path, first: int, n_bytes: int) -> None:
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, n_bytes, dtype=np.uint8)
    content[first : first + n_bytes] = noise.tobytes()
    path.write_bytes(bytes(content))


def test_each_kind_of_unusable_file_has_its_own_message(
    tmp_path: Path, moving_pattern: list[np.ndarray]
) -> None:
    whole = write_clip(tmp_path / "whole.mp4", moving_pattern, sound=np.zeros(48_000)).read_bytes()
    no_frames = tmp_path / "nothing.wav"
    with wave.open(str(no_frames), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "NONE"))
    subtitles = "1\n00:00:00,000 --> 00:00:01,000\nhello\n\n"
    messages = {}
    for path, part in [
        (tmp_path / "absent.mp4", "no such file"),
        (tmp_path, "is a folder"),
        (write_bytes(tmp_path / "empty.mp4", b""), "is empty"),
        (write_bytes(tmp_path / "cut.mp4", whole[: len(whole) // 2]), "is truncated"),
        (write_bytes(tmp_path / "notes.mp4", b"these are words, not a film\n" * 50), "not a media"),
        (no_frames, "zero length"),
        (write_bytes(tmp_path / "words.srt", subtitles.encode()), "neither a sound nor a picture"),
    ]:
        with pytest.raises(MediaError) as caught:
            probe(path)
        message = str(caught.value)
        assert part in message
        assert str(path) in message
        assert "\n" not in message
        messages[message.removeprefix(str(path))] = path
    assert len(messages) == 7


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_damage_in_the_middle_is_skipped_and_reported(
    tmp_path: Path, suffix: str, moving_pattern: list[np.ndarray]
) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", moving_pattern, options={"g": "12"})
    intact = list(iter_video(path))
    size = path.stat().st_size
    overwrite(path, size // 2, size // 20)
    report = DecodeReport()
    frames = list(iter_video(path, report=report))
    assert len(frames) == pytest.approx(len(intact), abs=2)
    assert report.corrupt_video_frames + report.patched_video_frames > 0
    assert any("picture" in sentence for sentence in report.warnings)
    for k in (0, 20, N_FRAMES - 5):  # far from the damage nothing changes
        np.testing.assert_array_equal(frames[k], intact[k])


def test_slight_damage_that_the_decoder_repairs_is_reported(
    tmp_path: Path, moving_pattern: list[np.ndarray]
) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_pattern, options={"g": "12", "crf": "12"})
    overwrite(path, path.stat().st_size // 2, 20)
    report = DecodeReport()
    assert len(list(iter_video(path, report=report))) == N_FRAMES
    assert report.warnings != []


def test_damaged_sound_keeps_its_length(tmp_path: Path) -> None:
    sound = 0.5 * np.sin(np.arange(48_000) / 10)
    path = write_clip(tmp_path / "clip.mp4", sound=sound, sound_codec="aac")
    n_intact = len(read_audio(path))
    overwrite(path, path.stat().st_size // 2, 800)
    report = DecodeReport()
    assert len(read_audio(path, report=report)) == pytest.approx(n_intact, abs=1_100)
    assert any("sound" in sentence for sentence in report.warnings)


def test_file_that_breaks_off_gives_what_it_has(
    tmp_path: Path, moving_pattern: list[np.ndarray]
) -> None:
    path = write_clip(tmp_path / "clip.mkv", moving_pattern)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = DecodeReport()
    frames = list(iter_video(path, report=report))
    assert 15 < len(frames) < 60
    assert report.missing_video_s == pytest.approx(3 - len(frames) / 25, abs=0.1)
    assert any("truncated" in sentence for sentence in report.warnings)


def test_header_without_content(tmp_path: Path, moving_pattern: list[np.ndarray]) -> None:
    path = write_clip(tmp_path / "clip.mkv", moving_pattern, sound=np.zeros(48_000))
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(MediaError, match="truncated"):
        probe(path)


def test_span_after_the_end(tmp_path: Path, moving_pattern: list[np.ndarray]) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_pattern, sound=np.zeros(48_000))
    with pytest.raises(MediaError, match="no picture there"):
        next(iter_video(path, 10, 12))


def test_frames_with_impossible_times_do_not_stretch_the_clip(
    tmp_path: Path, moving_pattern: list[np.ndarray]
) -> None:
    path = write_clip(tmp_path / "clip.mkv", moving_pattern, options={"bf": "0"})
    block = b"\x81" + struct.pack(">h", 1200) + b"\x00"  # track 1, 1200 ms, no key frame
    content = path.read_bytes()
    assert content.count(block) == 1
    path.write_bytes(content.replace(block, b"\x81" + struct.pack(">h", 30_000) + b"\x00"))
    report = DecodeReport()
    assert len(list(iter_video(path, report=report))) == N_FRAMES
    assert report.corrupt_video_frames == 1

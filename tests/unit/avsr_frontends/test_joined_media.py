"""Files whose clock restarts: several recordings put one behind the other."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avsr_frontends.clock import PartFinder
from avsr_frontends.media import DecodeReport, iter_video, probe, read_audio
from tests.shared_inputs import shared_input

PART_S = 3
FLASH_S = 1.0  # into each part: a bright picture and a click
WITH_PICTURE = {
    "ts": ("libx264", "aac"),
    "m2ts": ("libx264", "aac"),
    "vob": ("mpeg2video", "mp2"),
    "mpg": ("mpeg2video", "mp2"),
    "mkv": ("libx264", "aac"),
    "webm": ("libvpx-vp9", "libopus"),
    "mp4": ("libx264", "aac"),
    "flv": ("flv", "aac"),
    "avi": ("mpeg4", "pcm_s16le"),
}
SOUND_ALONE = {
    "opus": "libopus",
    "oga": "flac",
    "flac": "flac",
    "mp3": "libmp3lame",
    "aac": "aac",
    "wav": "pcm_s16le",
}


def write_part(path: Path, codecs: tuple[str, str], flash_s: float = FLASH_S) -> bytes:
    """Dark pictures and silence, but for a flash of 0.2 s with a click at its beginning."""
    video_codec, audio_codec = codecs
    rate = 48_000
    samples = np.zeros((1, PART_S * rate), dtype=np.int16)
    first = round(flash_s * rate)
    samples[0, first : first + rate // 50] = 16_000
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(video_codec, rate=25) if video_codec else None
        audio: Any = container.add_stream(audio_codec, rate=rate, layout="mono")
        if video is not None:
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            for k in range(25 * PART_S):
                lit = flash_s <= k / 25 < flash_s + 0.2
                picture = np.full((64, 96, 3), 220 if lit else 20, dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = k, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode())
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
    return path.read_bytes()


def clicks(path: Path, start: float | None = None, end: float | None = None) -> np.ndarray:
    """When clicks begin, seconds."""
    loud = np.abs(read_audio(path, start, end)) > 0.1
    begins = np.flatnonzero(loud[1:] & ~loud[:-1]) / 16_000
    apart = np.concatenate([[True], np.diff(begins) > 0.3]) if len(begins) else []
    return begins[apart]


def flashes(path: Path, start: float | None = None, end: float | None = None) -> np.ndarray:
    """When flashes begin, seconds."""
    lit = np.asarray([frame.mean() > 120 for frame in iter_video(path, start, end)])
    return (np.flatnonzero(lit[1:] & ~lit[:-1]) + 1) / 25


@pytest.mark.parametrize("suffix", WITH_PICTURE)
def test_nothing_is_lost_behind_a_joint_and_all_stays_in_step(tmp_path: Path, suffix: str) -> None:
    one, two = tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"
    flash_s = (1.0, 2.0, 1.0)
    recordings = (one, two, one)
    content = [write_part(one, WITH_PICTURE[suffix]), write_part(two, WITH_PICTURE[suffix], 2.0)]
    content.append(content[0])
    n_parts = len(content)
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(content))
    report = DecodeReport()
    n_frames = len(list(iter_video(path, report=report)))
    assert n_frames / 25 == pytest.approx(n_parts * PART_S, abs=0.4)
    n_samples = len(read_audio(path, report=report))
    assert n_samples / 16_000 == pytest.approx(n_parts * PART_S, abs=0.4)
    assert report.warnings == []
    assert probe(path).duration_s == pytest.approx(n_parts * PART_S, abs=0.4)
    heard, seen = clicks(path), flashes(path)
    np.testing.assert_allclose(heard, [flash_s[k] + k * PART_S for k in range(n_parts)], atol=0.4)
    apart = [flashes(one)[0] - clicks(one)[0] for one in recordings]
    np.testing.assert_allclose(seen - heard, apart, atol=0.045)


@pytest.mark.parametrize("suffix", ["ts", "mpg", "webm"])
def test_a_span_behind_a_joint_is_found(tmp_path: Path, suffix: str) -> None:
    content = write_part(tmp_path / f"part.{suffix}", WITH_PICTURE[suffix])
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(content * 2)
    for find in (clicks, flashes):
        whole = find(path)[1]
        np.testing.assert_allclose(find(path, 3.2, 5.5), [whole - 3.2], atol=0.041)


@pytest.mark.parametrize("suffix", SOUND_ALONE)
def test_chained_sound_is_heard_to_its_end(tmp_path: Path, suffix: str) -> None:
    content = write_part(tmp_path / f"part.{suffix}", ("", SOUND_ALONE[suffix]))
    path = tmp_path / f"chain.{suffix}"
    path.write_bytes(content * 3)
    np.testing.assert_allclose(clicks(path), [1, PART_S + 1, 2 * PART_S + 1], atol=0.2)
    assert probe(path).duration_s == pytest.approx(3 * PART_S, abs=0.3)


class FakePacket:
    """A packet of 40 ms."""

    def __init__(self, track: int, time: float) -> None:
        self.stream_index, self.time_base = track, Fraction(1, 1000)
        self.pts = self.dts = round(1000 * time)
        self.duration = 40


def parts(times: list[tuple[int, float]]) -> tuple[list[int | None], PartFinder]:
    """The part of each packet, given its track and time."""
    finder = PartFinder()
    packets: list[Any] = [FakePacket(track, time) for track, time in times]
    return [finder.part_of(packet) for packet in packets], finder


def test_tracks_pass_a_joint_one_after_the_other() -> None:
    one = [(track, 10 + k / 25) for k in range(50) for track in (0, 1)]
    two = [(0, k / 25) for k in range(5)]
    late = [(1, 12 + k / 25) for k in range(5)]  # sound of the first part, behind the joint
    rest = [(track, k / 25 + 0.2 * (track == 0)) for k in range(50) for track in (1, 0)]
    numbers, finder = parts([*one, *two, *late, *rest])
    assert numbers == [0] * 100 + [1] * 5 + [0] * 5 + [1] * 100
    assert finder.clock().offsets == (0, pytest.approx(12.2))


@pytest.mark.parametrize("wild", [0.5, 5000.0])
def test_a_single_damaged_time_begins_no_part(wild: float) -> None:
    before = [(track, 10 + k / 25) for k in range(50) for track in (0, 1)]
    after = [(track, 12 + k / 25) for k in range(50) for track in (0, 1)]
    numbers, finder = parts([*before, (0, wild), *after[2:]])
    assert numbers == [0] * 100 + [1] + [0] * 98
    assert finder.clock().offsets == (0, None)
    assert float(finder.clock().end) == pytest.approx(14)


def test_a_clock_that_leaps_forward_leaves_no_hole() -> None:
    numbers, finder = parts(
        [(0, k / 25) for k in range(50)] + [(0, 7200 + k / 25) for k in range(50)]
    )
    assert numbers == [0] * 50 + [1] * 50
    assert float(finder.clock().end) == pytest.approx(4)


def test_a_track_that_pauses_while_the_other_goes_on_is_no_leap() -> None:
    both = [(track, k / 25) for k in range(50) for track in (0, 1)]
    pause = [(0, 2 + k / 25) for k in range(1000)]
    numbers, _ = parts([*both, *pause, (1, 42.0), (0, 42.0)])
    assert set(numbers) == {0}


def test_joined_inputs_that_people_sent() -> None:
    path = shared_input("cat.ts")
    report = DecodeReport()
    assert len(list(iter_video(path, report=report))) / 25 == pytest.approx(9.2, abs=0.2)
    assert len(read_audio(path, report=report)) / 16_000 == pytest.approx(9.2, abs=0.2)
    assert report.warnings == []
    assert len(read_audio(shared_input("chain.ogg"))) / 16_000 == pytest.approx(9.05, abs=0.1)

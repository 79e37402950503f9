"""Lengths that were guessed accuse no file of being truncated, and a cover is no film."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from avsr_frontends.media import DecodeReport, iter_video, probe, read_audio
from tests.clips import counter_frame, write_clip
from tests.shared_inputs import shared_input

RATE = 16_000


def uneven(seconds: int) -> np.ndarray:
    """Silence that ends in noise: what its bit rate suggests at first is wrong by far."""
    sound = np.zeros(seconds * RATE)
    sound[-2 * RATE :] = np.random.default_rng(0).uniform(-0.9, 0.9, 2 * RATE)
    return sound


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("aac", "aac"), ("mp3", "libmp3lame"), ("ac3", "ac3"), ("ts", "aac"), ("wav", "libmp3lame")],
)
def test_an_intact_file_is_not_called_truncated(
    tmp_path: Path, suffix: str, codec: str, reverse: bool
) -> None:
    path = tmp_path / f"clip.{suffix}"
    sound = uneven(30)[:: -1 if reverse else 1]
    with av.open(str(path), "w") as container:
        rate = 32_000 if codec == "ac3" else RATE
        options = {"compression_level": "9"} if codec == "libmp3lame" else {}
        stream: Any = container.add_stream(codec, rate=rate, layout="mono", options=options)
        if codec == "libmp3lame":  # variable bit rate
            stream.codec_context.options = {"flags": "+qscale", "global_quality": "1000"}
        values = np.repeat(sound, rate // RATE)
        samples = np.rint(values * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if suffix == "mp3":  # without the header that tells the true length
        path.write_bytes(path.read_bytes().replace(b"Xing", bytes(4)).replace(b"Info", bytes(4)))
    report = DecodeReport()
    assert len(read_audio(path, report=report)) / RATE == pytest.approx(30, abs=0.3)
    assert report.warnings == []
    if suffix != "wav":
        assert probe(path).duration_s == pytest.approx(30, abs=0.3)


def test_an_intact_file_that_people_sent() -> None:
    path = shared_input("adts_a.aac")
    report = DecodeReport()
    heard = read_audio(path, report=report)
    assert probe(path).duration_s == pytest.approx(len(heard) / RATE, abs=0.05)
    assert report.warnings == []


def test_a_picture_that_ends_early_is_not_called_truncated(tmp_path: Path) -> None:
    frames = [counter_frame(k / 10) for k in range(10)]
    for suffix in ("mkv", "mp4", "ts"):
        path = tmp_path / f"clip.{suffix}"
        write_clip(path, frames, sound=np.zeros(3 * RATE), sound_codec="aac")
        report = DecodeReport()
        assert len(list(iter_video(path, report=report))) == pytest.approx(10, abs=2)
        assert report.warnings == []


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "mjpeg"), ("mkv", "mjpeg"), ("mov", "png"), ("mp4", "libx264")]
)
def test_a_cover_beside_sound_is_no_picture(
    tmp_path: Path, suffix: str, codec: str, is_marked: bool
) -> None:
    path = tmp_path / f"clip.{suffix}"
    pixels = {"mjpeg": "yuvj420p", "png": "rgb24", "libx264": "yuv420p"}[codec]
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, pixels
        if is_marked and codec != "libx264":  # FFmpeg writes no such cover
            video.disposition = Disposition.attached_pic
        audio: Any = container.add_stream("aac", rate=RATE, layout="mono")
        picture = av.VideoFrame.from_ndarray(counter_frame(0.5), format="rgb24")
        container.mux(video.encode(picture.reformat(format=pixels)))
        container.mux(video.encode())
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 2 * RATE), dtype=np.int16), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
    info = probe(path)
    assert info.has_audio
    assert not info.has_video


def test_a_film_is_a_picture(tmp_path: Path) -> None:
    frames = [counter_frame(k / 3) for k in range(3)]
    sound = np.zeros(RATE)
    assert probe(write_clip(tmp_path / "a.mp4", frames, sound=sound, sound_codec="aac")).has_video
    assert probe(write_clip(tmp_path / "b.mp4", frames[:1])).has_video

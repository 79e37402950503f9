"""Pictures of odd shapes: none of them may end the process."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avsr.clips.sources import clip_of_array
from avsr.errors import InputError
from avsr_frontends.landmarks import FaceTracker
from avsr_frontends.media import DecodeReport, MediaError, iter_video
from avsr_frontends.pictures import LONGEST_SIDE, BadPictureError, fits, is_absurd, upright_rgb
from tests.clips import write_clip
from tests.shared_inputs import shared_input


def write_shaped(path: Path, width: int, height: int) -> Path:
    """Three lossless grey pictures of a size."""
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("png", rate=25)
        track.width, track.height, track.pix_fmt = width, height, "gray"
        for k in range(3):
            picture = np.full((height, width), 60 * k, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            container.mux(track.encode(frame))
        container.mux(track.encode())
    return path


def write_with_aspect(path: Path, aspect: Fraction) -> Path:
    """Pictures of 64x48 whose header gives a ratio that no encoder would write."""
    usual = Fraction(64, 45)
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("mpeg4", rate=25)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        track.codec_context.sample_aspect_ratio = usual
        picture = np.full((48, 64, 3), 90, dtype=np.uint8)
        container.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(track.encode())
    content = path.read_bytes()
    written = b"pasp" + struct.pack(">II", 64, 45)
    assert content.count(written) == 1
    changed = b"pasp" + struct.pack(">II", aspect.numerator, aspect.denominator)
    path.write_bytes(content.replace(written, changed))
    return path


@pytest.mark.parametrize(
    ("aspect", "width"),
    [
        (Fraction(64, 45), 91),
        (Fraction(1, 2), 32),
        (Fraction(100), 64),
        (Fraction(255), 64),
        (Fraction(1, 255), 64),
    ],
)
def test_pixel_aspect_ratios(tmp_path: Path, aspect: Fraction, width: int) -> None:
    path = write_with_aspect(tmp_path / "clip.mp4", aspect)
    report = DecodeReport()
    frames = list(iter_video(path, report=report))
    assert {frame.shape for frame in frames} == {(48, width, 3)}
    assert [str(aspect) in sentence for sentence in report.warnings] == [True] * is_absurd(aspect)


def test_an_absurd_ratio_that_people_sent() -> None:
    report = DecodeReport()
    assert next(iter_video(shared_input("sar_255_1.mp4"), report=report)).shape == (288, 360, 3)
    assert "absurd" in report.warnings[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3), (16_000, 2), (2, 16_000)])
def test_thin_pictures_are_searched(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_shaped(tmp_path / "clip.mov", *size)
    with FaceTracker() as tracker:
        assert tracker.track(iter_video(path)).report.n_frames == 3
        assert len(tracker.track_faces(iter_video(path))) == 1


def test_pictures_that_are_too_large_are_refused(tmp_path: Path) -> None:
    path = write_shaped(tmp_path / "clip.mov", LONGEST_SIDE + 2, 2)
    with pytest.raises(MediaError, match="16386x2 are too large"):
        next(iter_video(path))
    for shape in ((2, 2, 40_000, 3), (2, 0, 0, 3)):
        with pytest.raises(InputError, match="cannot be searched"):
            clip_of_array(np.zeros(shape, dtype=np.uint8))
    with FaceTracker() as tracker, pytest.raises(ValueError, match="40000x2"):
        tracker.track([np.zeros((2, 40_000, 3), dtype=np.uint8)])


def test_sizes_that_fit() -> None:
    assert fits(7680, 4320)
    assert fits(1, 1)
    assert not fits(0, 10)
    assert not fits(12_000, 12_000)


def test_a_bad_picture_among_good_ones_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(
        tmp_path / "clip.mp4", [np.full((64, 64, 3), 40 * k).astype(np.uint8) for k in range(5)]
    )
    plain = list(iter_video(path))

    def fail_at_two(frame: av.VideoFrame, aspect: Fraction | None) -> np.ndarray:
        if frame.time == pytest.approx(0.08):
            raise BadPictureError("no such conversion")
        return upright_rgb(frame, aspect)

    monkeypatch.setattr("avsr_frontends.media.upright_rgb", fail_at_two)
    report = DecodeReport()
    frames = list(iter_video(path, report=report))
    assert report.corrupt_video_frames == 1
    np.testing.assert_array_equal(np.stack(frames), np.stack([plain[k] for k in (0, 1, 1, 3, 4)]))

"""Mouth geometry, the one-call path from file to crops, and the encoder's input."""

from pathlib import Path

import numpy as np
import pytest

from avsr_frontends import mouth_clip as mouth_module
from avsr_frontends.mouth import (
    MEAN_FACE_68,
    align_to_mean_face,
    crop_mouth,
    grey_crops,
    normalise_mouth,
    smooth_landmarks,
)
from avsr_frontends.mouth_clip import NoFaceError, extract_mouth
from tests.clips import write_clip
from tests.signals import portrait, specks


def mean_face() -> np.ndarray:
    """[68, 2] points whose stable ones lie exactly on their targets, mouth around (130, 158)."""
    points = np.tile([128.0, 120.0], (68, 1))
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    points[48:68] = (130 + 22 * np.cos(angles)[:, None] * [1, 0]) + [0, 28]
    points[list(MEAN_FACE_68.stable_points)] = MEAN_FACE_68.stable_targets
    return points


def chessboard(height: int = 256, width: int = 256) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    board = 60 + 120 * ((x // 8 + y // 8) % 2)
    return np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)


def test_a_face_on_its_target_is_cut_without_any_change() -> None:
    points, frame = mean_face(), chessboard()
    np.testing.assert_allclose(align_to_mean_face(points), np.eye(2, 3), atol=1e-6)
    crop = crop_mouth([frame], points[None])[0]
    x, y = np.rint(points[48:68].mean(axis=0) - 48).astype(int)
    np.testing.assert_array_equal(crop, frame[y : y + 96, x : x + 96])


@pytest.mark.parametrize(("scale", "degrees"), [(0.5, 0), (2, 0), (1, 25), (1.5, -40)])
def test_size_place_and_tilt_do_not_matter(scale: float, degrees: float) -> None:
    turn = np.radians(degrees)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = mean_face() @ matrix.T + (70, 200)
    aligned = align_to_mean_face(points)
    mapped = points @ aligned[:, :2].T + aligned[:, 2]
    np.testing.assert_allclose(mapped, mean_face(), atol=1e-3)


def test_a_large_face_is_reduced_without_aliasing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    crop = crop_mouth([noise], 4 * mean_face()[None])[0]
    assert crop.std() < 35  # a quarter of the noise's 74 after averaging, were it ideal
    y, x = np.mgrid[:1024, :1024]
    slope = np.repeat(((x + y) / 8)[..., None], 3, axis=-1).astype(np.uint8)
    small = np.repeat(((x + y)[:256, :256] / 2)[..., None], 3, axis=-1).astype(np.uint8)
    ours = crop_mouth([slope], 4 * mean_face()[None])[0]
    expected = crop_mouth([small], mean_face()[None])[0]
    np.testing.assert_allclose(ours.astype(int), expected.astype(int), atol=1)  # nothing shifts


def test_patch_at_the_picture_border_keeps_its_size() -> None:
    points = mean_face() - (100, 130)  # mouth at (30, 28)
    crop = crop_mouth([chessboard(80, 100)], points[None])[0]
    assert crop.shape == (96, 96, 3)
    assert not crop[:15].any()  # above the picture: black
    assert crop[40:60, 40:60].min() >= 60


def test_smoothing_averages_shape_but_not_position() -> None:
    generator = np.random.default_rng(0)
    shape = mean_face()
    path = generator.normal(0, 5, (20, 1, 2)).cumsum(axis=0)
    noise = generator.normal(0, 1, (20, 68, 2))
    smoothed = smooth_landmarks(shape + path + noise)
    own_mean = (shape + path + noise).mean(axis=1)
    np.testing.assert_allclose(smoothed.mean(axis=1), own_mean)
    rest = (smoothed - own_mean[:, None]) - (shape - shape.mean(axis=0))
    assert rest[8:12].std() < 0.4 * noise.std()
    np.testing.assert_allclose(smoothed[0], (shape + path + noise)[0])  # no neighbours: unchanged


def test_points_and_frames_must_agree() -> None:
    points = np.stack([mean_face()] * 3)
    for n_frames in (2, 4):
        with pytest.raises(ValueError, match="face points for 3"):
            crop_mouth([chessboard()] * n_frames, points)
    with pytest.raises(ValueError, match="coincide"):
        crop_mouth([chessboard()], np.zeros((1, 68, 2)))


def test_grey_weights_and_rounding() -> None:
    crops = np.zeros((1, 96, 96, 3), dtype=np.uint8)
    crops[0, 0, 0], crops[0, 0, 1] = (255, 0, 0), (10, 20, 30)
    grey = grey_crops(crops)
    assert grey.dtype == np.uint8
    assert grey[0, 0, :2].tolist() == [76, 18]  # 0.2989 * 255 = 76.2, 18.1


def test_normalised_values_and_centre() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 96, 96), dtype=np.uint8)
    values = normalise_mouth(crops)
    assert values.shape == (3, 1, 88, 88)
    assert values.dtype == np.float32
    expected = (0.9999 * crops[:, 4:92, 4:92] / 255 - 0.421) / 0.165  # the weights' sum
    np.testing.assert_allclose(values[:, 0], expected, atol=1e-5)
    colour = np.repeat(crops[..., None], 3, axis=-1)
    np.testing.assert_allclose(normalise_mouth(colour), values, atol=1e-6)


@pytest.mark.parametrize("shape", [(96, 96), (2, 80, 96), (2, 96, 96, 1), (2, 3, 96, 96)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="mouth crops must be"):
        normalise_mouth(np.zeros(shape, dtype=np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        normalise_mouth(np.zeros((2, 96, 96), dtype=np.float32))


def test_from_file_to_crops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.roll(portrait(), 3 * t, axis=1) for t in range(15)]
    path = write_clip(tmp_path / "clip.mp4", frames, fps=30)
    clip = extract_mouth(path)
    assert clip.crops.shape == (12, 96, 96)  # half a second is 12 or 13 frames
    assert clip.crops.dtype == np.uint8
    assert clip.track.coverage == 1
    assert clip.points68.shape == (12, 68, 2)
    assert clip.decoding.warnings == []
    steps = np.abs(np.diff(clip.crops.astype(float), axis=0)).mean()
    assert steps < 4  # the face moves through the picture, not through the crop
    colour = extract_mouth(path, 0, 0.2, colour=True)
    assert colour.crops.shape == (5, 96, 96, 3)
    monkeypatch.setattr(mouth_module, "_KEEP_BYTES", 10_000)  # as for a long film: decode twice
    np.testing.assert_array_equal(extract_mouth(path).crops, clip.crops)


def test_no_face_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "noise.mp4", specks(5))
    with pytest.raises(NoFaceError, match="noise") as caught:
        extract_mouth(path)
    assert "\n" not in str(caught.value)

"""Mouth crops: 68 face points and frames in, aligned 96x96 patches around the lips out.

The geometry is the one the published lip-reading models were trained on: each frame is mapped
to a mean face by a similarity transform fitted to a few stable points, and a square patch is cut
around the mouth of the mapped face. Shapes: T frames, P face points, H and W picture size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from avsr_frontends.rates import (
    GREY_MEAN,
    GREY_STD,
    GREY_WEIGHTS,
    MOUTH_SIZE,
    VIDEO_CROP_SIZE,
)

SMOOTHING_REACH = 6  # frames each side that are averaged before fitting the transform
_SMALLEST_SCALE = 0.5  # of one bilinear warp


@dataclass(frozen=True, kw_only=True)
class MouthGeometry:
    """Which points fix the transform, where they must land, and which points are the mouth.

    Attributes:
        stable_points: indices into the P face points.
        stable_targets: (x, y) of those points in the 256x256 mean-face frame, in pixels.
        mouth_points: indices whose mean is the centre of the patch.
    """

    stable_points: tuple[int, ...]
    stable_targets: tuple[tuple[float, float], ...]
    mouth_points: tuple[int, ...]


# Nose bridge, nose base, outer and inner corners of both eyes, mouth corners: the points that move
# least with speech. Targets: the published mean face, whose frame measures 256x256 pixels.
MEAN_FACE_68 = MouthGeometry(
    stable_points=(28, 33, 36, 39, 42, 45, 48, 54),
    stable_targets=(
        (128.489, 106.925),
        (128.870, 137.303),
        (92.522, 94.369),
        (112.772, 94.944),
        (145.525, 94.535),
        (166.677, 93.566),
        (107.168, 157.196),
        (152.193, 156.987),
    ),
    mouth_points=tuple(range(48, 68)),
)

# Right eye, left eye, nose base, mouth centre: what a plain face detector gives.
MEAN_FACE_4 = MouthGeometry(
    stable_points=(0, 1, 2, 3),
    stable_targets=((102.074, 94.272), (156.361, 93.578), (129.004, 135.903), (129.313, 157.823)),
    mouth_points=(3,),
)


def smooth_landmarks(
    points: np.ndarray, reach: int = SMOOTHING_REACH, cuts: Sequence[int] = ()
) -> np.ndarray:
    """Average each frame's points with its neighbours, keeping the frame's own position.

    The window reaches min(reach, t, T-1-t) frames to each side of frame t, and not over cuts, each
    of which is like an end of the clip. The averaged shape is
    moved so that its mean equals the mean of the frame's own points: size and tilt are smoothed,
    position is not.

    Args:
        points: [T, P, 2] x, y in pixels, without gaps.
        reach: frames to each side, at least 0.
        cuts: frames with which another shot begins.

    Returns:
        [T, P, 2] float64.
    """
    if cuts:
        shots = np.split(np.asarray(points), sorted(cuts))
        return np.concatenate([smooth_landmarks(shot, reach) for shot in shots])
    points = np.asarray(points, dtype=np.float64)
    n_frames = len(points)
    smoothed = np.empty_like(points)
    for t in range(n_frames):
        side = min(reach, t, n_frames - 1 - t)
        shape = points[t - side : t + side + 1].mean(axis=0)
        smoothed[t] = shape + (points[t].mean(axis=0) - shape.mean(axis=0))
    return smoothed


def align_to_mean_face(points: np.ndarray, geometry: MouthGeometry = MEAN_FACE_68) -> np.ndarray:
    """Fit the similarity transform from one frame to the mean face.

    Args:
        points: [P, 2] x, y in pixels of one frame.
        geometry: the points used and their targets.

    Returns:
        [2, 3] float64 matrix from picture pixels to mean-face pixels.

    Raises:
        ValueError: if the points coincide, so that no transform exists.
    """
    source = np.asarray(points, dtype=np.float64)[list(geometry.stable_points)]
    target = np.asarray(geometry.stable_targets, dtype=np.float64)
    matrix, _ = cv2.estimateAffinePartial2D(source, target, method=cv2.LMEDS)
    if matrix is None or not np.isfinite(matrix).all():
        raise ValueError("the face points of a frame coincide: no alignment to the mean face")
    return matrix


def cut_mouth(
    frame: np.ndarray, points: np.ndarray, geometry: MouthGeometry = MEAN_FACE_68
) -> np.ndarray:
    """Cut the aligned mouth patch out of one frame.

    Args:
        frame: [H, W, 3] uint8.
        points: [P, 2] smoothed points of this frame.
        geometry: the points used and their targets.

    Returns:
        [96, 96, 3] uint8; black where the patch leaves the picture.

    Raises:
        ValueError: if the points coincide.
    """
    matrix = align_to_mean_face(points, geometry)
    mouth = points[list(geometry.mouth_points)] @ matrix[:, :2].T + matrix[:, 2]  # [M, 2]
    corner = np.rint(mouth.mean(axis=0) - MOUTH_SIZE // 2)
    # A face much larger than the mean face is reduced first: bilinear sampling alone would turn its
    # fine texture into noise. pyrDown's pixel (x, y) lies on the larger picture's (2x, 2y).
    while np.hypot(matrix[0, 0], matrix[1, 0]) < _SMALLEST_SCALE:
        frame = cv2.pyrDown(frame)
        matrix[:, :2] *= 2
    # Warping straight to the patch (not to the whole mean-face frame) keeps the patch at full
    # size when it leaves that frame, and shows what the picture has there.
    matrix[:, 2] -= corner
    return cv2.warpAffine(frame, matrix, (MOUTH_SIZE, MOUTH_SIZE), flags=cv2.INTER_LINEAR)


def crop_mouth(
    frames: Iterable[np.ndarray],
    points: np.ndarray,
    geometry: MouthGeometry = MEAN_FACE_68,
) -> np.ndarray:
    """Cut the aligned mouth patch out of every frame of a clip.

    Args:
        frames: T pictures [H, W, 3] uint8; may be a stream.
        points: [T, P, 2] x, y in pixels, without gaps.
        geometry: the points used and their targets.

    Returns:
        [T, 96, 96, 3] uint8.

    Raises:
        ValueError: if frames and points differ in number, or the points of a frame coincide.
    """
    return crop_mouths(frames, [points], geometry)[0]


def crop_mouths(
    frames: Iterable[np.ndarray],
    people: Sequence[np.ndarray],
    geometry: MouthGeometry = MEAN_FACE_68,
    cuts: Sequence[int] = (),
) -> list[np.ndarray]:
    """Cut the mouth patches of several people out of the same frames, as :func:`crop_mouth`.

    Args:
        frames: T pictures [H, W, 3] uint8; may be a stream.
        people: [T, P, 2] points of each.
        geometry: the points used and their targets.
        cuts: frames with which another shot begins; nothing is smoothed over them.

    Returns:
        [T, 96, 96, 3] uint8 for each.

    Raises:
        ValueError: as :func:`crop_mouth`.
    """
    smoothed = [smooth_landmarks(points, cuts=cuts) for points in people]
    n_points = len(smoothed[0])
    crops = [np.zeros((n_points, MOUTH_SIZE, MOUTH_SIZE, 3), dtype=np.uint8) for _ in smoothed]
    n_frames = 0
    for n_frames, frame in enumerate(frames, start=1):
        if n_frames > n_points:
            break
        for mouth, points in zip(crops, smoothed, strict=True):
            mouth[n_frames - 1] = cut_mouth(frame, points[n_frames - 1], geometry)
    if n_frames != n_points:
        raise ValueError(f"got {n_frames} frames but face points for {n_points}")
    return crops


def grey_crops(crops: np.ndarray) -> np.ndarray:
    """Turn colour crops into grey ones by the published weights, rounded.

    Args:
        crops: [T, 96, 96, 3] uint8 RGB.

    Returns:
        [T, 96, 96] uint8.
    """
    grey = crops.astype(np.float32) @ np.asarray(GREY_WEIGHTS, dtype=np.float32)
    return np.rint(grey).astype(np.uint8)


def normalise_mouth(crops: np.ndarray) -> np.ndarray:
    """Turn stored crops into what the video encoder takes.

    Args:
        crops: [T, 96, 96] grey or [T, 96, 96, 3] RGB, uint8; at least 88 pixels a side.

    Returns:
        [T, 1, 88, 88] float32: centre crop, grey, (x / 255 - 0.421) / 0.165.

    Raises:
        ValueError: on another shape or dtype.
    """
    colour = crops.ndim == 4 and crops.shape[-1] == 3
    if crops.dtype != np.uint8 or not (crops.ndim == 3 or colour):
        raise ValueError(
            f"mouth crops must be uint8 [T, 96, 96] or [T, 96, 96, 3], got {crops.dtype} "
            f"{list(crops.shape)}"
        )
    height, width = crops.shape[1:3]
    if min(height, width) < VIDEO_CROP_SIZE:
        raise ValueError(f"mouth crops must be at least {VIDEO_CROP_SIZE} px, got {height}x{width}")
    top, left = (height - VIDEO_CROP_SIZE) // 2, (width - VIDEO_CROP_SIZE) // 2
    values = crops[:, top : top + VIDEO_CROP_SIZE, left : left + VIDEO_CROP_SIZE]
    values = values.astype(np.float32) / 255
    if colour:
        values = values @ np.asarray(GREY_WEIGHTS, dtype=np.float32)
    else:  # as three equal channels: the weights do not quite sum to one
        values = values * np.float32(sum(GREY_WEIGHTS))
    return ((values - GREY_MEAN) / GREY_STD)[:, None].astype(np.float32)

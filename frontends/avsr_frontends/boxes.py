"""Boxes around faces: [4] left, top, right, bottom in pixels."""

import numpy as np

_REGION_SCALE = 2.0  # side of the searched square in face sizes
_REGION_MARGIN = 0.12  # the face may come this close to the square's edge, in square sides
_RETURN_SHIFT = 2.0  # face sizes from where it was lost, within which a face counts as returned
_SAME_OVERLAP = 0.4  # intersection over union above which two boxes are of one face


def bounding_box(points: np.ndarray) -> np.ndarray:
    """The box around points, [..., P, 2] to [..., 4]."""
    return np.concatenate([points.min(axis=-2), points.max(axis=-2)], axis=-1)


def size_of(box: np.ndarray) -> float:
    """The longer side of a box."""
    return float(max(box[2] - box[0], box[3] - box[1]))


def centre(box: np.ndarray) -> np.ndarray:
    """The middle of a box, [2]."""
    return (box[:2] + box[2:]) / 2


def distance(box: np.ndarray, other: np.ndarray) -> float:
    """How far the middles of two boxes are apart."""
    return float(np.hypot(*(centre(box) - centre(other))))


def whole(frame: np.ndarray) -> np.ndarray:
    """The box of the whole picture, [4] integers."""
    return np.asarray((0, 0, frame.shape[1], frame.shape[0]))


def region_around(box: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The square around a face, cut to the picture, [4] integers."""
    half = max(_REGION_SCALE * size_of(box) / 2, 8)
    corners = np.concatenate([centre(box) - half, centre(box) + half])
    height, width = frame.shape[:2]
    return np.clip(np.rint(corners), 0, (width, height, width, height)).astype(int)


def well_inside(box: np.ndarray, region: np.ndarray, frame: np.ndarray) -> bool:
    """Whether the face still sits in the region with room to move, and fills enough of it."""
    height, width = frame.shape[:2]
    side = float(max(region[2] - region[0], region[3] - region[1]))
    room = np.concatenate([box[:2] - region[:2], region[2:] - box[2:]])
    at_border = np.concatenate([region[:2] <= 0, region[2:] >= (width, height)])
    return bool((at_border | (room > _REGION_MARGIN * side)).all()) and size_of(box) > side / 4


def similar_size(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes may be of one face as it moves."""
    return 0.5 < size_of(box) / size_of(other) < 2


def has_returned(box: np.ndarray, last_box: np.ndarray) -> bool:
    """Whether a face may be the one that was last seen at a place."""
    near = distance(box, last_box) < _RETURN_SHIFT * size_of(last_box)
    return near and similar_size(box, last_box)


def overlap(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes are of one face."""
    shared = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    if (shared <= 0).any():
        return False
    both = float(shared.prod())
    areas = float((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod())
    return both / (areas - both) > _SAME_OVERLAP

"""Following one face with a mesh of its own, which sees an enlarged square around it.

Boxes are [4] left, top, right, bottom in pixels, points [68, 2] in pixels of the whole picture.
"""

from collections.abc import Callable, Sequence

import numpy as np

from avsr_frontends.boxes import (
    bounding_box,
    distance,
    region_around,
    similar_size,
    size_of,
    well_inside,
)
from avsr_frontends.face_models import FaceMesh
from avsr_frontends.rates import VIDEO_FPS

REACQUIRE_S = 1.0  # after this long without its face, a follower gives up
_MAX_SHIFT = 0.6  # face sizes the same face may move from one frame to the next
_BACKGROUND = 96  # grey that hides other faces while one is searched


class Follower:
    """Follows one face with a mesh of its own.

    Attributes:
        mesh: the model, lent to this follower.
        last_box: where the face was seen last, or None.
        n_missed: frames since then.
    """

    def __init__(self, mesh: FaceMesh, last_box: np.ndarray | None = None) -> None:
        self.mesh = mesh
        self.last_box = last_box
        self.n_missed = 0
        self._region: np.ndarray | None = None
        mesh.forget()

    @property
    def is_lost(self) -> bool:
        """Whether the face has been away for so long that it may be anywhere."""
        return self.n_missed > REACQUIRE_S * VIDEO_FPS

    def step(
        self,
        frame: np.ndarray,
        region: Callable[[], np.ndarray | None],
        hidden: Sequence[np.ndarray] = (),
    ) -> np.ndarray | None:
        """Look for the face in the next frame.

        Args:
            frame: [H, W, 3] uint8 RGB.
            region: says where to look if the face is not followed now; None is nowhere.
            hidden: boxes of other faces, which must not be taken for this one.

        Returns:
            Its points, or None where it is not seen.
        """
        if self._region is None:
            self._region = region()
        points = None if self._region is None else self._points(frame, self._region, hidden)
        box = None if points is None else bounding_box(points)
        if points is None or box is None or not (self.is_lost or self.can_be_at(box)):
            self.miss()
            return None
        self.last_box, self.n_missed = box, 0
        assert self._region is not None
        if not well_inside(box, self._region, frame):
            self._region = region_around(box, frame)
            self.mesh.forget()
        return points

    def miss(self) -> None:
        """Count a frame without the face; the next one is searched afresh."""
        self.n_missed += 1
        self._region = None
        self.mesh.forget()

    def can_be_at(self, box: np.ndarray) -> bool:
        """Whether a face may be the followed one."""
        if self.last_box is None:
            return True
        reach = _MAX_SHIFT * size_of(self.last_box) * (1 + self.n_missed)
        return distance(box, self.last_box) < reach and similar_size(box, self.last_box)

    def _points(
        self, frame: np.ndarray, region: np.ndarray, hidden: Sequence[np.ndarray]
    ) -> np.ndarray | None:
        left, top, right, bottom = region.tolist()
        picture = frame[top:bottom, left:right]
        if hidden and not self.mesh.is_following:
            picture = _without(picture, [box - (left, top, left, top) for box in hidden])
        points = self.mesh.points(picture)
        return None if points is None else points + np.asarray((left, top))


def _without(picture: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
    """A copy of a picture with these boxes painted over."""
    picture = picture.copy()
    for left, top, right, bottom in np.rint(np.maximum(boxes, 0)).astype(int):
        picture[top:bottom, left:right] = _BACKGROUND
    return picture

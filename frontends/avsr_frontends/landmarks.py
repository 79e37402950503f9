"""Face tracking: pictures in, 68 face points of one person in every frame out.

mediapipe's FaceMesh (with its attention model, which is exact around the lips and eyes) places
478 points; a table reduces them to the 68-point layout that the mouth geometry is defined on.
Shapes: T frames, [T, 68, 2] points as x, y in pixels.
"""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import numpy as np

from avsr_frontends.native_log import without_native_chatter
from avsr_frontends.rates import VIDEO_FPS

# FaceMesh vertex for each of the 68 points (the layout of the 300-W annotations), subject's right
# first. Only 28, 33, 36, 39, 42, 45, 48, 54 and 48-67 shape the mouth crop.
MESH_TO_68 = (
    # 0-16 jaw line from the right ear over the chin to the left ear
    *(127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356),
    # 17-21 right eyebrow, outer to inner
    *(70, 63, 105, 66, 107),
    # 22-26 left eyebrow, inner to outer
    *(336, 296, 334, 293, 300),
    # 27-30 nose bridge, top to tip
    *(168, 197, 5, 4),
    # 31-35 nose base, right to left
    *(98, 97, 2, 326, 327),
    # 36-41 right eye: outer corner, two of the upper lid, inner corner, two of the lower lid
    *(33, 160, 158, 133, 153, 144),
    # 42-47 left eye: inner corner, two of the upper lid, outer corner, two of the lower lid
    *(362, 385, 387, 263, 373, 380),
    # 48-54 outer edge of the upper lip, right corner to left corner
    *(61, 40, 37, 0, 267, 270, 291),
    # 55-59 outer edge of the lower lip, left to right
    *(321, 314, 17, 84, 91),
    # 60-64 inner edge of the upper lip, right corner to left corner
    *(78, 81, 13, 311, 308),
    # 65-67 inner edge of the lower lip, left to right
    *(402, 14, 178),
)

_REGION_SCALE = 2.0  # side of the searched square in face sizes
_REGION_MARGIN = 0.12  # the face may come this close to the square's edge, in square sides
_MAX_SHIFT = 0.6  # face sizes the same face may move from one frame to the next
_REACQUIRE_S = 1.0  # after this long without the face, the nearest face counts as the same person


@dataclass(frozen=True, kw_only=True)
class TrackReport:
    """How well one person's face was followed.

    Attributes:
        n_frames: frames looked at.
        coverage: share of them with the face found, 0 to 1.
        face_width_px: median width of the found faces in pixels, 0 if none.
        gaps: (start, end) in seconds from the first frame, of the spans without the face.
    """

    n_frames: int
    coverage: float
    face_width_px: float
    gaps: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class FaceTrack:
    """One person's face in every frame.

    Attributes:
        points68: [T, 68, 2] float32, gaps interpolated and jitter smoothed; zeros if the face
            was found in no frame.
        found: [T] bool, whether the face was seen in that frame.
        boxes: [T, 4] float32 left, top, right, bottom of the points, in pixels.
        report: summary.
    """

    points68: np.ndarray
    found: np.ndarray
    boxes: np.ndarray
    report: TrackReport


class FaceTracker:
    """Follows one person: the largest face at the start, then the one nearest to where it was.

    A full-range detector finds faces down to about 7 % of the picture's width, and FaceMesh looks
    at an enlarged square around the chosen one; where the detector sees nothing (extreme
    close-ups) FaceMesh searches the whole picture. The instance belongs to one thread, because
    mediapipe crashes otherwise, and must be closed: use it in a ``with`` statement.
    """

    def __init__(self, min_confidence: float = 0.5) -> None:
        """Load the face models, which come inside the mediapipe package.

        Args:
            min_confidence: 0 to 1, for detection and for keeping a face.
        """
        from mediapipe.python.solutions import face_detection, face_mesh

        nothing = np.zeros((64, 64, 3), dtype=np.uint8)
        with without_native_chatter():
            self._detector = face_detection.FaceDetection(
                min_detection_confidence=min_confidence, model_selection=1
            )
            self._mesh = face_mesh.FaceMesh(
                refine_landmarks=True,
                min_detection_confidence=min_confidence,
                min_tracking_confidence=min_confidence,
            )
            self._detector.process(nothing)  # models load, and chatter, in the background
            self._mesh.process(nothing)
        # FaceMesh looks first where its last face was: "following" while that is this track's face,
        # "stale" once it is not, so that it must be reset; "fresh" before it has any.
        self._mesh_state: Literal["fresh", "following", "stale"] = "fresh"

    def track(self, frames: Iterable[np.ndarray]) -> FaceTrack:
        """Follow the largest face of the first frame that shows one.

        Args:
            frames: T pictures [H, W, 3] uint8 RGB; may be a stream, only one is held at a time.

        Returns:
            The track; ``report.coverage`` is 0 if no face was found.
        """
        region: np.ndarray | None = None
        last_box: np.ndarray | None = None
        n_missed = 0
        found: list[bool] = []
        points: list[np.ndarray] = []
        self._forget()
        for frame in frames:
            if region is None:
                region = self._find_region(frame, last_box)
            face = self._mesh_points(frame, region)
            box = None if face is None else _box(face)
            if face is None or box is None or not _same_face(box, last_box, n_missed):
                found.append(False)
                n_missed += 1
                region = None
                self._forget()
                continue
            found.append(True)
            points.append(face)
            last_box, n_missed = box, 0
            if not _well_inside(box, region, frame):
                region = _region_around(box, frame)
                self._forget()
        return _finish(np.asarray(found, dtype=bool), points)

    def close(self) -> None:
        """Free the models; the tracker cannot be used afterwards."""
        self._detector.close()
        self._mesh.close()

    def __enter__(self) -> "FaceTracker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _find_region(self, frame: np.ndarray, last_box: np.ndarray | None) -> np.ndarray:
        """Choose where FaceMesh looks: around the wanted face, or the whole picture."""
        height, width = frame.shape[:2]
        result: Any = self._detector.process(np.ascontiguousarray(frame))
        boxes = []
        for detection in result.detections or []:
            face = detection.location_data.relative_bounding_box
            corners = (face.xmin, face.ymin, face.xmin + face.width, face.ymin + face.height)
            boxes.append(np.asarray(corners) * (width, height, width, height))
        if not boxes:
            return np.asarray((0, 0, width, height))
        if last_box is None:
            return _region_around(max(boxes, key=_size), frame)
        return _region_around(min(boxes, key=lambda box: _distance(box, last_box)), frame)

    def _mesh_points(self, frame: np.ndarray, region: np.ndarray) -> np.ndarray | None:
        """Return the 68 points found in the region, [68, 2] in pixels of the frame, or None."""
        left, top, right, bottom = region.tolist()
        picture = np.ascontiguousarray(frame[top:bottom, left:right])
        with without_native_chatter() if self._mesh_state != "following" else nullcontext():
            if self._mesh_state == "stale":
                self._mesh.reset()
            result: Any = self._mesh.process(picture)
        faces = result.multi_face_landmarks
        self._mesh_state = "following" if faces else "fresh"
        if not faces:
            return None
        mesh = faces[0].landmark
        points = np.asarray([(mesh[i].x, mesh[i].y) for i in MESH_TO_68])
        return points * (right - left, bottom - top) + (left, top)

    def _forget(self) -> None:
        """Make FaceMesh search afresh instead of looking where the face was last."""
        if self._mesh_state == "following":
            self._mesh_state = "stale"


def fill_gaps(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Interpolate missing frames linearly between their neighbours and hold both ends.

    Args:
        points: [T, P, 2]; rows of missing frames are ignored.
        found: [T] bool, at least one true.

    Returns:
        [T, P, 2] float64.

    Raises:
        ValueError: if no frame has points.
    """
    if not found.any():
        raise ValueError("no frame has face points: nothing to interpolate from")
    times = np.arange(len(found))
    known = np.flatnonzero(found)
    values = np.asarray(points, dtype=np.float64)[known].reshape(len(known), -1)
    columns = [np.interp(times, known, column) for column in values.T]
    return np.stack(columns, axis=1).reshape(len(found), *points.shape[1:])


def _finish(found: np.ndarray, points: list[np.ndarray]) -> FaceTrack:
    n_frames = len(found)
    points68 = np.zeros((n_frames, len(MESH_TO_68), 2))
    if points:
        points68[found] = points
        points68 = _without_jitter(fill_gaps(points68, found))
    boxes = np.concatenate([points68.min(axis=1), points68.max(axis=1)], axis=1)
    widths = (boxes[:, 2] - boxes[:, 0])[found]
    report = TrackReport(
        n_frames=n_frames,
        coverage=float(found.mean()) if n_frames else 0.0,
        face_width_px=float(np.median(widths)) if len(widths) else 0.0,
        gaps=_gaps(found),
    )
    return FaceTrack(
        points68=points68.astype(np.float32),
        found=found,
        boxes=boxes.astype(np.float32),
        report=report,
    )


def _without_jitter(points: np.ndarray) -> np.ndarray:
    """Average each inner frame with its neighbours, weights 1/4 1/2 1/4: no lag, half the noise."""
    smooth = points.copy()
    if len(points) > 2:
        smooth[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    return smooth


def _gaps(found: np.ndarray) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[True], found, [True]]).astype(int)))
    return [(a / VIDEO_FPS, b / VIDEO_FPS) for a, b in edges.reshape(-1, 2).tolist()]


def _box(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _size(box: np.ndarray) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))


def _distance(box: np.ndarray, other: np.ndarray) -> float:
    return float(np.hypot(*((box[:2] + box[2:] - other[:2] - other[2:]) / 2)))


def _same_face(box: np.ndarray, last_box: np.ndarray | None, n_missed: int) -> bool:
    """Whether a face can be the tracked one, ``n_missed`` frames after it was last seen."""
    if last_box is None or n_missed > _REACQUIRE_S * VIDEO_FPS:
        return True
    reach = _MAX_SHIFT * _size(last_box) * (1 + n_missed)
    return _distance(box, last_box) < reach and 0.5 < _size(box) / _size(last_box) < 2


def _region_around(box: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The square around a face, cut to the picture: left, top, right, bottom as integers."""
    height, width = frame.shape[:2]
    centre, half = (box[:2] + box[2:]) / 2, max(_REGION_SCALE * _size(box) / 2, 8)
    corners = np.concatenate([centre - half, centre + half])
    return np.clip(np.rint(corners), 0, (width, height, width, height)).astype(int)


def _well_inside(box: np.ndarray, region: np.ndarray, frame: np.ndarray) -> bool:
    """Whether the face still sits in the region with room to move, and fills enough of it."""
    height, width = frame.shape[:2]
    side = float(max(region[2] - region[0], region[3] - region[1]))
    room = np.concatenate([box[:2] - region[:2], region[2:] - box[2:]])
    at_border = np.concatenate([region[:2] <= 0, region[2:] >= (width, height)])
    return bool((at_border | (room > _REGION_MARGIN * side)).all()) and _size(box) > side / 4

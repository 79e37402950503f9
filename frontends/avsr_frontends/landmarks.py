"""Face tracking: pictures in, 68 face points of each person in every frame out.

mediapipe's FaceMesh (with its attention model, which is exact around the lips and eyes) places
478 points; a table reduces them to the 68-point layout that the mouth geometry is defined on.
Shapes: T frames, [T, 68, 2] points as x, y in pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType

import numpy as np

from avsr_frontends.boxes import bounding_box, distance, region_around, size_of, whole
from avsr_frontends.face_models import MESH_TO_68, FaceDetector, MeshPool
from avsr_frontends.faces import LOOK_AROUND, FaceFollower, Roster
from avsr_frontends.follower import Follower
from avsr_frontends.rates import VIDEO_FPS
from avsr_frontends.shots import SAME_LOOK, ShotDetector, likeness, look_of

__all__ = [
    "MESH_TO_68",
    "FaceTrack",
    "FaceTracker",
    "Roster",
    "TrackReport",
    "fill_gaps",
    "joint_report",
    "wanted_region",
    "without_face",
    "without_jitter",
]


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
        person: number of the person in the video, from 1 on.
        cuts: frames with which another shot begins; nothing was smoothed over them.
        borders: those of them behind which other people are in the picture than before.
    """

    points68: np.ndarray
    found: np.ndarray
    boxes: np.ndarray
    report: TrackReport
    person: int = 1
    cuts: tuple[int, ...] = ()
    borders: tuple[int, ...] = ()


class FaceTracker:
    """Follows one person, the largest face at the start, or everybody in the picture.

    A full-range detector finds faces down to about 7 % of the picture's width, and FaceMesh looks
    at an enlarged square around the chosen one; where the detector sees nothing, it looks at parts
    of the picture for smaller ones, once a second, and FaceMesh (for extreme close-ups) at all of
    it. The instance belongs to one thread, because
    mediapipe crashes otherwise, and must be closed: use it in a ``with`` statement.
    """

    def __init__(self, min_confidence: float = 0.5) -> None:
        """Load the face models, which come inside the mediapipe package.

        Args:
            min_confidence: 0 to 1, for detection and for keeping a face.
        """
        self._detector = FaceDetector(min_confidence)
        self._meshes = MeshPool(min_confidence)

    def track(self, frames: Iterable[np.ndarray]) -> FaceTrack:
        """Follow the largest face of the first frame that shows one, alone.

        After a second without it, the face nearest to where it was counts as the same person.

        Args:
            frames: T pictures [H, W, 3] uint8 RGB; may be a stream, only one is held at a time.

        Returns:
            The track; ``report.coverage`` is 0 if no face was found.
        """
        follower = Follower(self._meshes.take())
        found: list[bool] = []
        points: list[np.ndarray] = []
        shots, cuts, borders = ShotDetector(), [], []
        look: np.ndarray | None = None  # before the last cut, until a face shows behind it
        last: np.ndarray | None = None
        for frame in frames:
            if shots.is_cut(frame):
                cuts.append(len(found))
                if found[-1] and last is not None:
                    look = look_of(last, points[-1])
                follower.miss()
            is_due = len(found) % LOOK_AROUND == 0
            face = follower.step(
                frame,
                partial(wanted_region, self._detector, frame, follower.last_box, small=is_due),
            )
            if face is not None and look is not None and cuts:
                if likeness(look, look_of(frame, face)) < SAME_LOOK:
                    borders.append(cuts[-1])
                look = None
            found.append(face is not None)
            if face is not None:
                points.append(face)
            last = frame
        self._meshes.give_back(follower.mesh)
        return _finish(np.asarray(found, dtype=bool), points, 1, cuts, borders)

    def track_faces(
        self, frames: Iterable[np.ndarray], roster: Roster | None = None
    ) -> list[FaceTrack]:
        """Follow every face, each on a track of its own; new ones are looked for once a second.

        Args:
            frames: T pictures [H, W, 3] uint8 RGB; may be a stream, only one is held at a time.
            roster: the people of earlier stretches of the same video, who keep their numbers;
                those met here are added. None begins anew.

        Returns:
            A track of T frames for each face seen, in order of ``person``. Where there is none:
            one track with coverage 0.
        """
        follower = FaceFollower(self._detector, self._meshes)
        followed = follower.follow(frames, roster or Roster())
        tracks = []
        for one in followed.people:
            found = np.zeros(followed.n_frames, dtype=bool)
            found[one.frames] = True
            tracks.append(_finish(found, one.points, one.person, followed.cuts, followed.borders))
        return tracks or [without_face(followed.n_frames)]

    def close(self) -> None:
        """Free the models; the tracker cannot be used afterwards."""
        self._detector.close()
        self._meshes.close()

    def __enter__(self) -> "FaceTracker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def wanted_region(
    detector: FaceDetector, frame: np.ndarray, last_box: np.ndarray | None, *, small: bool = False
) -> np.ndarray:
    """Where one face is sought: at the one nearest to where it was last, else at the largest.

    Args:
        detector: finds faces.
        frame: [H, W, 3] uint8 RGB.
        last_box: where it was; None where it has not been seen.
        small: look closer for a small face where there is none at a first look.

    Returns:
        [4] left, top, right, bottom; the whole picture where the detector sees nothing.
    """
    boxes = detector.boxes(frame)
    if not boxes and small:
        boxes = detector.small_boxes(frame)
    if not boxes:
        return whole(frame)
    if last_box is None:
        return region_around(max(boxes, key=size_of), frame)
    return region_around(min(boxes, key=lambda box: distance(box, last_box)), frame)


def without_face(n_frames: int) -> FaceTrack:
    """The track of nobody."""
    return _finish(np.zeros(n_frames, dtype=bool), [])


def joint_report(tracks: Sequence[FaceTrack]) -> TrackReport:
    """How well anybody's face was followed: a frame counts if one of them is found.

    Args:
        tracks: at least one, of the same frames; the width is that of the one found most often.
    """
    found = np.any([track.found for track in tracks], axis=0)
    main = max(tracks, key=lambda track: track.report.coverage)
    return TrackReport(
        n_frames=len(found),
        coverage=float(found.mean()) if len(found) else 0.0,
        face_width_px=main.report.face_width_px,
        gaps=_gaps(found),
    )


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


def _finish(
    found: np.ndarray,
    points: list[np.ndarray],
    person: int = 1,
    cuts: Sequence[int] = (),
    borders: Sequence[int] = (),
) -> FaceTrack:
    n_frames = len(found)
    points68 = np.zeros((n_frames, len(MESH_TO_68), 2))
    if points:
        points68[found] = points
        shots = np.split(fill_gaps(points68, found), cuts)
        points68 = np.concatenate([without_jitter(shot) for shot in shots])
    boxes = bounding_box(points68)
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
        person=person,
        cuts=tuple(cuts),
        borders=tuple(borders),
    )


def without_jitter(points: np.ndarray) -> np.ndarray:
    """Average each inner frame with its neighbours, weights 1/4 1/2 1/4: no lag, half the noise."""
    smooth = points.copy()
    if len(points) > 2:
        smooth[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    return smooth


def _gaps(found: np.ndarray) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[True], found, [True]]).astype(int)))
    return [(a / VIDEO_FPS, b / VIDEO_FPS) for a, b in edges.reshape(-1, 2).tolist()]

"""Mouth crops of one face while the pictures come: nothing waits for the end of a video.

Each picture is looked at once. A crop is final when the six pictures behind it, over which the face
points are averaged, are there; until then it is cut as at the end of a video, and may be asked for.
T counts video frames, 25 per second.
"""

from collections import deque
from dataclasses import dataclass
from functools import partial

import numpy as np

from avsr_frontends.activity import lip_motion
from avsr_frontends.face_models import FaceDetector, MeshPool
from avsr_frontends.follower import Follower
from avsr_frontends.landmarks import wanted_region, without_jitter
from avsr_frontends.mouth import SMOOTHING_REACH, cut_mouth, grey_crops, smooth_landmarks
from avsr_frontends.rates import MOUTH_SIZE
from avsr_frontends.shots import ShotDetector

__all__ = ["LiveLips", "Mouths"]


@dataclass(frozen=True, kw_only=True)
class Mouths:
    """Consecutive frames of a mouth.

    Attributes:
        mouth: [T, 96, 96] uint8; black where no face has been seen.
        motion: [T] float32, lip motion as :func:`avsr_frontends.activity.lip_motion`, NaN where
            the face is not seen.
    """

    mouth: np.ndarray
    motion: np.ndarray

    @classmethod
    def unseen(cls, n_frames: int) -> "Mouths":
        """Frames in which nobody shows."""
        mouth = np.zeros((n_frames, MOUTH_SIZE, MOUTH_SIZE), dtype=np.uint8)
        return cls(mouth=mouth, motion=np.full(n_frames, np.nan, dtype=np.float32))


@dataclass(kw_only=True)
class _Frame:
    """One frame; ``points`` are the last known ones where the face is hidden, None without any."""

    picture: np.ndarray | None
    points: np.ndarray | None
    found: bool
    begins: bool = False  # another shot, or another face, than before


class LiveLips:
    """Follows the largest face, and where it is lost the one nearest to its place.

    The instance belongs to one thread, because mediapipe crashes otherwise, and must be closed: use
    it in a ``with`` statement.
    """

    def __init__(self, min_confidence: float = 0.5) -> None:
        """Load the face models.

        Args:
            min_confidence: 0 to 1, for detection and for keeping a face.
        """
        self._detector = FaceDetector(min_confidence)
        self._meshes = MeshPool(min_confidence)
        self._follower = Follower(self._meshes.take())
        self._shots = ShotDetector()
        self._frames: deque[_Frame] = deque()  # those before, for averaging, and those pending
        self._n_before = 0

    def add(self, picture: np.ndarray | None) -> None:
        """Take the next frame.

        Args:
            picture: [H, W, 3] uint8 RGB; the object of the frame before is not looked at again;
                None: there is none.
        """
        last = self._frames[-1] if self._frames else None
        if picture is None:
            self._frames.append(_Frame(picture=None, points=None, found=False))
        elif last is not None and picture is last.picture:
            self._frames.append(_Frame(picture=picture, points=last.points, found=last.found))
        else:
            self._frames.append(self._seen(picture, last))

    def settled(self) -> Mouths:
        """The frames that are final since the last call."""
        n_final = max(self._n_before, len(self._frames) - SMOOTHING_REACH)
        mouths = self._mouths(self._n_before, n_final)
        n_gone = max(0, n_final - SMOOTHING_REACH)
        for index in range(n_final):
            if index < n_final - 1:
                self._frames[index].picture = None  # cut already
        for _ in range(n_gone):
            self._frames.popleft()
        self._n_before = n_final - n_gone
        return mouths

    def pending(self) -> Mouths:
        """The newest frames, at most six, cut as well as they can be now."""
        return self._mouths(self._n_before, len(self._frames))

    def close(self) -> None:
        """Free the models; the instance cannot be used afterwards."""
        self._detector.close()
        self._meshes.close()

    def __enter__(self) -> "LiveLips":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _seen(self, picture: np.ndarray, last: _Frame | None) -> _Frame:
        is_cut = self._shots.is_cut(picture)
        if is_cut:
            self._follower.miss()
        last_box = self._follower.last_box
        points = self._follower.step(
            picture, partial(wanted_region, self._detector, picture, last_box)
        )
        if points is not None:
            return _Frame(picture=picture, points=points, found=True, begins=is_cut)
        hidden = None if last is None or is_cut or self._follower.is_lost else last.points
        return _Frame(picture=picture, points=hidden, found=False)

    def _mouths(self, first: int, last: int) -> Mouths:
        frames = list(self._frames)
        crops = [np.zeros((MOUTH_SIZE, MOUTH_SIZE), dtype=np.uint8)] * (last - first)
        motion = np.full(last - first, np.nan, dtype=np.float32)
        for begin, end in _runs(frames):
            points = without_jitter(np.asarray([frame.points for frame in frames[begin:end]]))
            smoothed, moved = smooth_landmarks(points), lip_motion(points)
            for index in range(max(begin, first), min(end, last)):
                frame = frames[index]
                assert frame.picture is not None  # it has points
                try:
                    crop = cut_mouth(frame.picture, smoothed[index - begin])
                except ValueError:  # the points coincide: no face
                    continue
                crops[index - first] = grey_crops(crop[None])[0]
                if frame.found:
                    motion[index - first] = moved[index - begin]
        mouth = np.stack(crops) if crops else np.zeros((0, MOUTH_SIZE, MOUTH_SIZE), np.uint8)
        return Mouths(mouth=mouth, motion=motion)


def _runs(frames: list[_Frame]) -> list[tuple[int, int]]:
    """(first, last + 1) of consecutive frames with points in one shot."""
    runs: list[tuple[int, int]] = []
    for index, frame in enumerate(frames):
        if frame.points is None:
            continue
        if runs and runs[-1][1] == index and not frame.begins:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs

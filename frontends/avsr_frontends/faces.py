"""Following faces from frame to frame: one alone, or all that are in the picture, kept apart.

A face is followed by a mesh of its own, which sees an enlarged square around it; the detector says
where to look for faces that are not followed yet, or no longer. Boxes are [4] left, top, right,
bottom in pixels, points [68, 2] in pixels of the whole picture.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from avsr_frontends.face_models import FaceDetector, FaceMesh
from avsr_frontends.rates import VIDEO_FPS

MAX_FACES = 6  # the largest ones; each costs about 5 ms a frame
REACQUIRE_S = 1.0  # after this long without its face, a follower gives up
_LOOK_AROUND = 25  # frames between searches for further faces
_REGION_SCALE = 2.0  # side of the searched square in face sizes
_REGION_MARGIN = 0.12  # the face may come this close to the square's edge, in square sides
_MAX_SHIFT = 0.6  # face sizes the same face may move from one frame to the next
_RETURN_SHIFT = 2.0  # face sizes from where it was lost, within which a face counts as returned
_SAME_OVERLAP = 0.4  # intersection over union above which two boxes are of one face
_BACKGROUND = 96  # grey that hides other faces while one is searched

Boxes = Callable[[], list[np.ndarray]]


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
        if points is None or box is None or not (self.is_lost or self._can_be_at(box)):
            self.miss()
            return None
        self.last_box, self.n_missed = box, 0
        assert self._region is not None
        if not _well_inside(box, self._region, frame):
            self._region = region_around(box, frame)
            self.mesh.forget()
        return points

    def miss(self) -> None:
        """Count a frame without the face; the next one is searched afresh."""
        self.n_missed += 1
        self._region = None
        self.mesh.forget()

    def _can_be_at(self, box: np.ndarray) -> bool:
        if self.last_box is None:
            return True
        reach = _MAX_SHIFT * size_of(self.last_box) * (1 + self.n_missed)
        return distance(box, self.last_box) < reach and _similar_size(box, self.last_box)

    def _points(
        self, frame: np.ndarray, region: np.ndarray, hidden: Sequence[np.ndarray]
    ) -> np.ndarray | None:
        left, top, right, bottom = region.tolist()
        picture = frame[top:bottom, left:right]
        if hidden and not self.mesh.is_following:
            picture = _without(picture, [box - (left, top, left, top) for box in hidden])
        points = self.mesh.points(picture)
        return None if points is None else points + np.asarray((left, top))


@dataclass(eq=False)
class Person:
    """One face through a stretch of video.

    Attributes:
        person: number from 1 on, in order of appearance, left before right; 0 until it has one.
        last_box: where it was seen last.
        frames: numbers of the frames in which it is seen.
        points: [68, 2] for each of them.
        follower: follows it now; None while it is away.
    """

    last_box: np.ndarray
    person: int = 0
    frames: list[int] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    follower: Follower | None = None


class Roster:
    """The faces met so far in a video that is read in several stretches.

    Attributes:
        people: without their points.
    """

    def __init__(self) -> None:
        self.people: list[Person] = []

    def number(self, people: Sequence[Person]) -> None:
        """Give each person who has none the next number, and remember all."""
        for one in people:
            if one.person == 0:
                one.person = len(self.people) + 1
                self.people.append(Person(one.last_box, one.person))
            self.people[one.person - 1].last_box = one.last_box


class FaceFollower:
    """Follows every face in the picture, up to ``MAX_FACES``."""

    def __init__(self, detector: FaceDetector, meshes: "MeshPool") -> None:
        self._detector = detector
        self._meshes = meshes

    def follow(self, frames: Iterable[np.ndarray], roster: Roster) -> tuple[int, list[Person]]:
        """Follow all faces through a stretch of video.

        Args:
            frames: [H, W, 3] uint8 RGB pictures; may be a stream.
            roster: faces met before, who keep their numbers when they are seen again.

        Returns:
            How many frames there were, and the people seen in them, in order of their numbers.
            Faces seen for less than half a second are left out unless there is no other.
        """
        away = [Person(one.last_box, one.person) for one in roster.people]
        present: list[Person] = []
        n_frames = 0
        for frame in frames:
            boxes = _once(lambda frame=frame: self._detector.boxes(frame))
            for one in present:
                self._step(one, present, n_frames, frame, boxes)
            _part_twins(present, n_frames)
            for one in [one for one in present if one.follower is None or one.follower.is_lost]:
                present.remove(one)
                away.append(one)
                self._release(one)
            nobody = not any(one.frames and one.frames[-1] == n_frames for one in present)
            if nobody or n_frames % _LOOK_AROUND == 0:
                self._welcome(present, away, n_frames, frame, boxes)
            n_frames += 1
        for one in present:
            self._release(one)
        seen = [one for one in (*present, *away) if one.frames]
        lasting = [one for one in seen if len(one.frames) >= min(n_frames, VIDEO_FPS // 2)]
        seen = lasting or sorted(seen, key=lambda one: -len(one.frames))[:1]
        seen.sort(key=lambda one: (one.frames[0], centre(bounding_box(one.points[0]))[0]))
        roster.number(seen)
        return n_frames, sorted(seen, key=lambda one: one.person)

    def _step(
        self, one: Person, present: list[Person], index: int, frame: np.ndarray, boxes: Boxes
    ) -> None:
        follower = one.follower
        assert follower is not None
        others = [other.last_box for other in present if other is not one]

        def region() -> np.ndarray | None:
            free = [box for box in boxes() if not any(_overlap(box, o) for o in others)]
            near = [box for box in free if follower._can_be_at(box)]
            if near:
                nearest = min(near, key=lambda box: distance(box, one.last_box))
                return region_around(nearest, frame)
            return None if boxes() or others else whole(frame)

        points = follower.step(frame, region, others)
        if points is not None and follower.last_box is not None:
            one.frames.append(index)
            one.points.append(points)
            one.last_box = follower.last_box

    def _welcome(
        self,
        present: list[Person],
        away: list[Person],
        index: int,
        frame: np.ndarray,
        boxes: Boxes,
    ) -> None:
        """Begin to follow the faces that nobody follows; people who were away come back."""
        known = [one.last_box for one in present]
        found = sorted(boxes(), key=size_of, reverse=True)
        regions = [
            region_around(box, frame)
            for box in found
            if not any(_overlap(box, other) for other in known)
        ]
        if not found and not present:
            regions = [whole(frame)]  # an extreme close-up escapes the detector
        for region in regions[: max(0, MAX_FACES - len(present))]:
            follower = Follower(self._meshes.take())
            known = [one.last_box for one in present]
            points = follower.step(frame, lambda region=region: region, known)
            box = None if points is None else bounding_box(points)
            if points is None or box is None or any(_overlap(box, other) for other in known):
                self._meshes.give_back(follower.mesh)
                continue
            back = [one for one in away if _has_returned(box, one.last_box)]
            back.sort(key=lambda one, box=box: distance(box, one.last_box))
            one = back[0] if back else Person(box)
            if one in away:
                away.remove(one)
            one.follower, one.last_box = follower, box
            one.frames.append(index)
            one.points.append(points)
            present.append(one)

    def _release(self, one: Person) -> None:
        if one.follower is not None:
            self._meshes.give_back(one.follower.mesh)
            one.follower = None


class MeshPool:
    """Mesh models that are made when first needed and used again."""

    def __init__(self, min_confidence: float) -> None:
        self._min_confidence = min_confidence
        self._all = [FaceMesh(min_confidence)]
        self._free = list(self._all)

    def take(self) -> FaceMesh:
        """A model that nobody uses."""
        if not self._free:
            self._all.append(FaceMesh(self._min_confidence))
            self._free.append(self._all[-1])
        return self._free.pop()

    def give_back(self, mesh: FaceMesh) -> None:
        """Let others use a model."""
        self._free.append(mesh)

    def close(self) -> None:
        """Free all models."""
        for mesh in self._all:
            mesh.close()


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


def _well_inside(box: np.ndarray, region: np.ndarray, frame: np.ndarray) -> bool:
    """Whether the face still sits in the region with room to move, and fills enough of it."""
    height, width = frame.shape[:2]
    side = float(max(region[2] - region[0], region[3] - region[1]))
    room = np.concatenate([box[:2] - region[:2], region[2:] - box[2:]])
    at_border = np.concatenate([region[:2] <= 0, region[2:] >= (width, height)])
    return bool((at_border | (room > _REGION_MARGIN * side)).all()) and size_of(box) > side / 4


def _similar_size(box: np.ndarray, other: np.ndarray) -> bool:
    return 0.5 < size_of(box) / size_of(other) < 2


def _has_returned(box: np.ndarray, last_box: np.ndarray) -> bool:
    near = distance(box, last_box) < _RETURN_SHIFT * size_of(last_box)
    return near and _similar_size(box, last_box)


def _overlap(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes are of one face."""
    shared = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    if (shared <= 0).any():
        return False
    both = float(shared.prod())
    areas = float((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod())
    return both / (areas - both) > _SAME_OVERLAP


def _part_twins(present: Sequence[Person], index: int) -> None:
    """Where two followers have come upon the same face, leave it to the one who knows it longer."""
    seen = [one for one in present if one.frames and one.frames[-1] == index]
    seen.sort(key=lambda one: -len(one.frames))
    for rank, one in enumerate(seen):
        if any(_overlap(one.last_box, other.last_box) for other in seen[:rank]):
            one.frames.pop()
            one.points.pop()
            if one.follower is not None:
                one.follower.miss()


def _without(picture: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
    """A copy of a picture with these boxes painted over."""
    picture = picture.copy()
    for left, top, right, bottom in np.rint(np.maximum(boxes, 0)).astype(int):
        picture[top:bottom, left:right] = _BACKGROUND
    return picture


def _once(make: Boxes) -> Boxes:
    """Make a value when it is first asked for, and keep it."""
    kept: list[list[np.ndarray]] = []

    def get() -> list[np.ndarray]:
        if not kept:
            kept.append(make())
        return kept[0]

    return get

"""Following faces from frame to frame: one alone, or all that are in the picture, kept apart.

The detector says where to look for faces that are not followed yet, or no longer. Boxes are [4]
left, top, right, bottom in pixels, points [68, 2] in pixels of the whole picture.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from avsr_frontends.boxes import (
    bounding_box,
    centre,
    distance,
    has_returned,
    overlap,
    region_around,
    size_of,
    whole,
)
from avsr_frontends.face_models import FaceDetector, MeshPool
from avsr_frontends.follower import Follower
from avsr_frontends.rates import VIDEO_FPS
from avsr_frontends.shots import SAME_LOOK, ShotDetector, likeness, look_of

MAX_FACES = 6  # the largest ones; each costs about 5 ms a frame
_TWINS = 0.03  # looks that differ by less are told apart by place
LOOK_AROUND = 25  # frames between searches for further faces

Boxes = Callable[[], list[np.ndarray]]


@dataclass(eq=False)
class Person:
    """One face through a stretch of video.

    Attributes:
        person: number from 1 on, in order of appearance, left before right; 0 until it has one.
        last_box: where it was seen last.
        frames: numbers of the frames in which it is seen.
        points: [68, 2] for each of them.
        follower: follows it now; None while it is away.
        look: what it looked like when it was seen last, as far as that was noted.
        cut_off: another shot has begun since, so that its place says nothing.
    """

    last_box: np.ndarray
    person: int = 0
    frames: list[int] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    follower: Follower | None = None
    look: np.ndarray | None = None
    cut_off: bool = False


class Roster:
    """The faces met so far in a video that is read in several stretches.

    Attributes:
        people: without their points.
        shots: tells where another shot begins.
        in_view: numbers of those who were seen at the end of the last stretch.
    """

    def __init__(self) -> None:
        self.people: list[Person] = []
        self.shots = ShotDetector()
        self.in_view: set[int] = set()

    def number(self, people: Sequence[Person]) -> None:
        """Give each person who has none the next number, and remember all."""
        for one in people:
            if one.person == 0:
                one.person = len(self.people) + 1
                self.people.append(Person(one.last_box, one.person))
            known = self.people[one.person - 1]
            known.last_box, known.cut_off = one.last_box, one.cut_off
            known.look = known.look if one.look is None else one.look


class FaceFollower:
    """Follows every face in the picture, up to ``MAX_FACES``."""

    def __init__(self, detector: FaceDetector, meshes: MeshPool) -> None:
        self._detector = detector
        self._meshes = meshes

    def follow(self, frames: Iterable[np.ndarray], roster: Roster) -> "Followed":
        """Follow all faces through a stretch of video; nobody is followed over a cut.

        Behind a cut those are the same people who look the same; others are new ones.

        Args:
            frames: [H, W, 3] uint8 RGB pictures; may be a stream.
            roster: faces met before, who keep their numbers when they are seen again.

        Returns:
            The people seen, in order of their numbers. Faces seen for less than half a second are
            left out unless there is no other.
        """
        away = [
            Person(one.last_box, one.person, look=one.look, cut_off=one.cut_off)
            for one in roster.people
        ]
        present: list[Person] = []
        cuts: list[int] = []
        n_frames = 0
        last: np.ndarray | None = None
        for frame in frames:
            boxes = _once(lambda frame=frame: self._detector.boxes(frame))
            if roster.shots.is_cut(frame):
                cuts.append(n_frames)
                self._part(present, away, n_frames, last)
            for one in present:
                self._step(one, present, n_frames, frame, boxes)
            _part_twins(present, n_frames)
            for one in [one for one in present if one.follower is None or one.follower.is_lost]:
                present.remove(one)
                away.append(one)
                self._release(one)
            nobody = not any(one.frames and one.frames[-1] == n_frames for one in present)
            if nobody or n_frames % LOOK_AROUND == 0:
                self._welcome(present, away, n_frames, frame, boxes)
            last = frame
            n_frames += 1
        for one in present:
            _note_look(one, n_frames - 1, last)
            self._release(one)
        seen = [one for one in (*present, *away) if one.frames]
        lasting = [one for one in seen if len(one.frames) >= min(n_frames, VIDEO_FPS // 2)]
        seen = lasting or sorted(seen, key=lambda one: -len(one.frames))[:1]
        seen.sort(key=lambda one: (one.frames[0], centre(bounding_box(one.points[0]))[0]))
        roster.number(seen)
        for one in away:
            if one.person:
                roster.people[one.person - 1].cut_off = one.cut_off
        seen.sort(key=lambda one: one.person)
        followed = Followed(n_frames=n_frames, people=seen, cuts=cuts)
        followed.borders = [
            cut
            for cut in cuts
            if followed.in_view_before(cut, roster.in_view) != followed.in_view_after(cut)
        ]
        roster.in_view = followed.in_view_before(n_frames, roster.in_view)
        return followed

    def _part(
        self, present: list[Person], away: list[Person], index: int, last: np.ndarray | None
    ) -> None:
        """Another shot begins: whoever was followed must be found, and known, anew."""
        for one in present:
            _note_look(one, index - 1, last)
            self._release(one)
        away += present
        present.clear()
        for one in away:
            one.cut_off = True

    def _step(
        self, one: Person, present: list[Person], index: int, frame: np.ndarray, boxes: Boxes
    ) -> None:
        follower = one.follower
        assert follower is not None
        others = [other.last_box for other in present if other is not one]

        def region() -> np.ndarray | None:
            free = [box for box in boxes() if not any(overlap(box, o) for o in others)]
            near = [box for box in free if follower.can_be_at(box)]
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
        found = boxes()
        if not found and not present and index % LOOK_AROUND == 0:
            found = self._detector.small_boxes(frame)
        found = sorted(found, key=size_of, reverse=True)
        regions = [
            region_around(box, frame)
            for box in found
            if not any(overlap(box, other) for other in known)
        ]
        if not found and not present:
            regions = [whole(frame)]  # an extreme close-up escapes the detector
        for region in regions[: max(0, MAX_FACES - len(present))]:
            follower = Follower(self._meshes.take())
            known = [one.last_box for one in present]
            points = follower.step(frame, lambda region=region: region, known)
            box = None if points is None else bounding_box(points)
            if points is None or box is None or any(overlap(box, other) for other in known):
                self._meshes.give_back(follower.mesh)
                continue
            one = _known(box, look_of(frame, points), away) or Person(box)
            if one in away:
                away.remove(one)
            one.follower, one.last_box, one.cut_off = follower, box, False
            one.frames.append(index)
            one.points.append(points)
            present.append(one)

    def _release(self, one: Person) -> None:
        if one.follower is not None:
            self._meshes.give_back(one.follower.mesh)
            one.follower = None


@dataclass
class Followed:
    """What came of following faces through a stretch of video.

    Attributes:
        n_frames: its length.
        people: those seen, in order of their numbers.
        cuts: frames with which another shot begins.
        borders: those of them behind which other people are seen than before.
    """

    n_frames: int
    people: list[Person]
    cuts: list[int]
    borders: list[int] = field(default_factory=list)

    def in_view_before(self, index: int, earlier: set[int]) -> set[int]:
        """Numbers of those seen just before a frame; ``earlier`` before the first."""
        if index == 0:
            return earlier
        return self._in_view(
            max([0, *(cut for cut in self.cuts if cut < index)], key=int), index, True
        )

    def in_view_after(self, index: int) -> set[int]:
        """Numbers of those who are seen from a frame on."""
        end = min([self.n_frames, *(cut for cut in self.cuts if cut > index)])
        return self._in_view(index, end, False)

    def _in_view(self, first: int, last: int, at_end: bool) -> set[int]:
        """Those seen in the half second at the end, or at the beginning, of some frames."""
        half = VIDEO_FPS // 2
        first, last = (
            (max(first, last - half), last) if at_end else (first, min(last, first + half))
        )
        return {
            one.person
            for one in self.people
            if 2 * sum(first <= frame < last for frame in one.frames) >= last - first
        }


def _known(box: np.ndarray, look: np.ndarray | None, away: Sequence[Person]) -> Person | None:
    """Who of those away a face is: behind a cut by its look, else by its place."""
    likely = [(likeness(look, one.look), one) for one in away if one.cut_off]
    best = max([SAME_LOOK, *(value for value, _ in likely)])
    back = [one for value, one in likely if value >= max(SAME_LOOK, best - _TWINS)]
    back = back or [one for one in away if not one.cut_off and has_returned(box, one.last_box)]
    return min(back, key=lambda one: distance(box, one.last_box), default=None)


def _note_look(one: Person, index: int, frame: np.ndarray | None) -> None:
    """Keep what a person looks like who is seen in this frame."""
    if frame is not None and one.frames and one.frames[-1] == index:
        look = look_of(frame, one.points[-1])
        one.look = one.look if look is None else look


def _part_twins(present: Sequence[Person], index: int) -> None:
    """Where two followers have come upon the same face, leave it to the one who knows it longer."""
    seen = [one for one in present if one.frames and one.frames[-1] == index]
    seen.sort(key=lambda one: -len(one.frames))
    for rank, one in enumerate(seen):
        if any(overlap(one.last_box, other.last_box) for other in seen[:rank]):
            one.frames.pop()
            one.points.pop()
            if one.follower is not None:
                one.follower.miss()


def _once(make: Boxes) -> Boxes:
    """Make a value when it is first asked for, and keep it."""
    kept: list[list[np.ndarray]] = []

    def get() -> list[np.ndarray]:
        if not kept:
            kept.append(make())
        return kept[0]

    return get

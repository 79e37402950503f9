"""Cuts: where they are, and that no face is followed over one."""

import json
from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest

from avsr_frontends.landmarks import FaceTracker, Roster
from avsr_frontends.media import iter_video
from avsr_frontends.mouth import smooth_landmarks
from avsr_frontends.shots import SAME_LOOK, ShotDetector, likeness, look_of
from tests.shared_inputs import grid_clip
from tests.signals import portrait, specks

GREY = np.full((256, 320, 3), 90, dtype=np.uint8)


def with_face(left: int, size: int = 200, flipped: bool = False) -> np.ndarray:
    """The portrait at a place, or a mirrored and darker one that stands for somebody else."""
    frame = GREY.copy()
    face = cv2.resize(portrait(), (size, size), interpolation=cv2.INTER_AREA)
    if flipped:
        frame[:] = 20
        face = 255 - (face[:, ::-1] // 2 + 100)
        face = cv2.GaussianBlur(face, (0, 0), 2)
    frame[20 : 20 + size, left : left + size] = face
    return frame


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    with FaceTracker() as tracker:
        yield tracker


def cuts_in(frames: list[np.ndarray]) -> list[int]:
    detector = ShotDetector()
    return [index for index, frame in enumerate(frames) if detector.is_cut(frame)]


def test_cuts_are_found_and_motion_is_none() -> None:
    moving = [with_face(20 + 2 * k) for k in range(20)]
    assert cuts_in(moving) == []
    assert cuts_in([*moving, *[GREY // 2] * 5, *moving]) == [20, 25]
    assert cuts_in([with_face(20)] * 40) == []


def test_steady_turmoil_is_no_cut() -> None:
    assert cuts_in(specks(3) * 10)[1:] == []


def test_behind_a_cut_the_same_look_is_the_same_person(tracker: FaceTracker) -> None:
    jump = [with_face(20)] * 14 + [with_face(110, 140)] * 14
    (track,) = tracker.track_faces(jump)
    assert track.cuts == (14,)
    assert track.borders == ()
    assert track.found.all()
    before, after = track.points68[13], track.points68[14]
    np.testing.assert_allclose(before, track.points68[0], atol=2)  # nothing is mixed over the cut
    np.testing.assert_allclose(after, track.points68[-1], atol=2)


def test_smoothing_ends_at_cuts() -> None:
    points = np.zeros((20, 4, 2))
    points[:, 1], points[10:, 1] = (10, 0), (40, 0)
    smooth = smooth_landmarks(points, cuts=[10])
    np.testing.assert_allclose(np.ptp(smooth[:10], axis=0), 0)
    np.testing.assert_allclose(np.ptp(smooth[10:], axis=0), 0)
    assert np.ptp(smooth_landmarks(points)[:10], axis=0).max() > 1


def test_a_cut_between_stretches_is_found(tracker: FaceTracker) -> None:
    roster = Roster()
    tracker.track_faces([with_face(20)] * 14, roster)
    (track,) = tracker.track_faces([with_face(110, 140)] * 14, roster)
    assert track.cuts == (0,)
    assert track.person == 1


def test_a_picture_without_a_face_is_a_border(tracker: FaceTracker) -> None:
    frames = [with_face(20)] * 14 + [GREY // 3] * 14 + [with_face(20)] * 14
    (track,) = tracker.track_faces(frames)
    assert track.cuts == track.borders == (14, 28)
    np.testing.assert_array_equal(track.found, [True] * 14 + [False] * 14 + [True] * 14)


def people() -> dict[str, list[str]]:
    """Paths of GRID clips of each speaker."""
    found: dict[str, list[str]] = {}
    for name in ("s1_dev.jsonl", "more.jsonl", "unseen.jsonl"):
        for line in grid_clip(name).read_text().splitlines():
            one = json.loads(line)
            found.setdefault(one["speaker"], []).append(one["path"])
    return found


def test_different_people_in_the_same_place_are_told_apart(tracker: FaceTracker) -> None:
    clips = people()
    heads = {who: list(iter_video(grid_clip(paths[0]), 0, 0.6)) for who, paths in clips.items()}
    order = sorted(heads)
    frames = [frame for who in order for frame in heads[who]]
    tracks = tracker.track_faces(frames)
    cuts = tuple(15 * k for k in range(1, len(order)))
    assert tracks[0].cuts == tracks[0].borders == cuts
    assert len(tracks) == len(order)
    for track, first in zip(tracks, (0, *cuts), strict=True):
        assert track.found[first : first + 15].mean() > 0.8
        assert track.found.sum() <= 15
    faces = [track.points68[index] for track, index in zip(tracks, (0, *cuts), strict=True)]
    looks = [look_of(heads[who][0], points) for who, points in zip(order, faces, strict=True)]
    assert max(likeness(a, b) for a, b in pairwise(looks)) < SAME_LOOK


@pytest.mark.slow
def test_clips_of_one_shot_have_no_cut() -> None:
    clips = people()
    n_cuts = 0
    for path in clips["s1"][:50] + clips["s4"] + clips["s31"]:
        n_cuts += len(cuts_in(list(iter_video(grid_clip(path)))))
    assert n_cuts <= 2

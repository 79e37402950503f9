"""Several faces in one picture: one track for each person, whatever the others do."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from avsr_frontends.landmarks import FaceTracker, Roster, joint_report
from tests.signals import portrait, specks

GREY = np.full((240, 480, 3), 90, dtype=np.uint8)


def picture(*faces: tuple[int, int]) -> np.ndarray:
    """A picture with the portrait at each (left, size)."""
    frame = GREY.copy()
    for left, size in faces:
        frame[20 : 20 + size, left : left + size] = cv2.resize(
            portrait(), (size, size), interpolation=cv2.INTER_AREA
        )
    return frame


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    with FaceTracker() as tracker:
        yield tracker


def test_one_face_is_followed_as_if_alone(tracker: FaceTracker) -> None:
    frames = [picture((100 + 3 * t, 180)) for t in range(6)]
    alone = tracker.track(frames)
    (track,) = tracker.track_faces(frames)
    assert track.person == 1
    np.testing.assert_array_equal(track.points68, alone.points68)
    np.testing.assert_array_equal(track.found, alone.found)


def test_two_faces_have_a_track_each(tracker: FaceTracker) -> None:
    frames = [picture((10 + 2 * t, 180), (290 - 2 * t, 150)) for t in range(6)]
    tracks = tracker.track_faces(frames)
    assert [track.person for track in tracks] == [1, 2]
    for track, (left, size) in zip(tracks, ((10, 180), (290, 150)), strict=True):
        assert track.found.all()
        assert (track.boxes[:, 0] > left - 12).all()
        assert (track.boxes[:, 2] < left + size + 12).all()
    moves = [np.diff(track.boxes[:, 0]).mean() for track in tracks]
    assert moves[0] > 1
    assert moves[1] < -1


def test_people_who_come_and_go_keep_their_numbers(tracker: FaceTracker) -> None:
    both, first = picture((10, 180), (280, 180)), picture((10, 180))
    roster = Roster()
    met = tracker.track_faces([both] * 3, roster)
    assert [track.person for track in met] == [1, 2]
    (left,) = tracker.track_faces([first] * 3, roster)
    assert left.person == 1
    (right,) = tracker.track_faces([picture((280, 180))] * 3, roster)
    assert right.person == 2


def test_a_face_that_comes_later_is_found_within_a_second(tracker: FaceTracker) -> None:
    frames = [picture((10, 180))] * 5 + [picture((10, 180), (280, 180))] * 35
    tracks = tracker.track_faces(frames)
    assert [track.person for track in tracks] == [1, 2]
    assert tracks[0].found.all()
    assert tracks[1].found[30:].all()
    assert not tracks[1].found[:5].any()


def test_no_face_is_one_empty_track(tracker: FaceTracker) -> None:
    (track,) = tracker.track_faces(specks(4))
    assert track.report.coverage == 0
    assert len(track.found) == 4
    assert tracker.track_faces([])[0].report.n_frames == 0


def test_joint_report_counts_frames_with_anybody(tracker: FaceTracker) -> None:
    frames = [picture((10, 180))] * 30 + [GREY] * 5
    tracks = tracker.track_faces(frames)
    assert joint_report(tracks).coverage == pytest.approx(30 / 35)
    assert joint_report(tracks).gaps == [(1.2, 1.4)]


@pytest.mark.parametrize(("left", "top"), [(1700, 900), (40, 30), (905, 610)])
def test_a_small_face_in_a_big_picture_is_found(tracker: FaceTracker, left: int, top: int) -> None:
    frame = np.full((1080, 1920, 3), 235, dtype=np.uint8)
    inset = cv2.resize(portrait(), (160, 160), interpolation=cv2.INTER_AREA)
    frame[top : top + 160, left : left + 160] = inset
    assert not tracker._detector.boxes(frame)
    for tracks in ([tracker.track([frame] * 3)], tracker.track_faces([frame] * 3)):
        (track,) = tracks
        assert track.found.all()
        assert (track.boxes[:, :2] > (left - 10, top - 10)).all()
        assert (track.boxes[:, 2:] < (left + 170, top + 170)).all()


def test_parts_are_looked_at_only_where_nothing_is_found(
    tracker: FaceTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    search = tracker._detector.small_boxes

    def counted(frame: np.ndarray) -> list[np.ndarray]:
        looks.append(len(frame))
        return search(frame)

    monkeypatch.setattr(tracker._detector, "small_boxes", counted)
    frame = picture((100, 180))
    assert tracker.track_faces([frame] * 30)[0].found.all()
    assert not looks
    assert not tracker.track_faces([GREY] * 30)[0].found.any()
    assert len(looks) == 2  # once a second

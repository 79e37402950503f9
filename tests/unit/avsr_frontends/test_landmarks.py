"""Face tracking on a public-domain portrait pasted into larger pictures."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from avsr_frontends.landmarks import MESH_TO_68, FaceTrack, FaceTracker, fill_gaps
from tests.signals import portrait, specks

GREY = np.full((360, 640, 3), 90, dtype=np.uint8)


def paste(picture: np.ndarray, size: int, left: int, top: int) -> np.ndarray:
    """A copy of the picture with the portrait, ``size`` pixels a side, at a place."""
    face = cv2.resize(portrait(), (size, size), interpolation=cv2.INTER_AREA)
    picture = picture.copy()
    picture[top : top + size, left : left + size] = face
    return picture


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    with FaceTracker() as tracker:
        yield tracker


@pytest.fixture(scope="module")
def whole(tracker: FaceTracker) -> FaceTrack:
    return tracker.track([portrait()] * 3)


def test_table_names_each_of_the_68_points_once() -> None:
    assert len(MESH_TO_68) == len(set(MESH_TO_68)) == 68
    assert min(MESH_TO_68) >= 0
    assert max(MESH_TO_68) < 468


def test_points_have_the_layout_of_a_face(whole: FaceTrack) -> None:
    points = whole.points68[1]
    assert whole.points68.shape == (3, 68, 2)
    assert whole.found.all()
    right_eye, left_eye = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    nose, mouth = points[31:36].mean(axis=0), points[48:68].mean(axis=0)
    assert right_eye[0] < nose[0] < left_eye[0]  # the subject's right is on the picture's left
    assert right_eye[1] < points[28, 1] < nose[1] < mouth[1] < points[8, 1]
    for outer, inner, sign in [(36, 39, 1), (45, 42, -1), (48, 60, 1), (54, 64, -1)]:
        assert sign * (points[inner, 0] - points[outer, 0]) > 0
    for upper, lower in [(37, 41), (38, 40), (43, 47), (44, 46), (51, 57), (62, 66)]:
        assert points[lower, 1] > points[upper, 1]
    order = points[[48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59], 0]  # around the lips
    assert (np.diff(order[:7]) > 0).all()
    assert (np.diff(order[6:]) < 0).all()
    np.testing.assert_allclose(whole.boxes[1, :2], points.min(axis=0))


@pytest.mark.parametrize("size", [120, 200, 360])
def test_a_face_is_found_whatever_its_size(
    tracker: FaceTracker, whole: FaceTrack, size: int
) -> None:
    track = tracker.track([paste(GREY, size, 200, 0)] * 2)
    assert track.found.all()
    expected = whole.points68[1] * size / 256 + (200, 0)
    assert np.abs(track.points68[1] - expected).mean() < 0.01 * size
    width = whole.report.face_width_px * size / 256
    assert track.report.face_width_px == pytest.approx(width, rel=0.05)


def test_extreme_close_up_is_found(tracker: FaceTracker, whole: FaceTrack) -> None:
    left, top, right, bottom = whole.boxes[1].astype(int)
    close = np.ascontiguousarray(portrait()[top - 5 : bottom + 5, left - 5 : right + 5])
    assert tracker.track([close] * 2).report.coverage == 1


@pytest.mark.parametrize("large_at", [20, 400])
def test_the_largest_face_is_chosen(tracker: FaceTracker, large_at: int) -> None:
    frame = paste(paste(GREY, 140, 420 - large_at, 60), 200, large_at, 60)
    track = tracker.track([frame])
    assert large_at < track.boxes[0, 0] < track.boxes[0, 2] < large_at + 200


def test_one_person_is_followed_past_another(tracker: FaceTracker) -> None:
    def at(left: int) -> np.ndarray:
        return paste(paste(GREY, 140, 500, 60), 200, left, 60)

    alone = paste(GREY, 140, 500, 60)
    track = tracker.track([at(20), at(32), at(44), *[alone] * 4, at(60), at(60)])
    assert track.found.tolist() == [True] * 3 + [False] * 4 + [True] * 2
    assert (track.boxes[:, 2] < 260).all()  # never the other face


def test_gaps_are_bridged_and_reported(tracker: FaceTracker) -> None:
    shown = [paste(GREY, 240, left, 60) for left in (100, 100, 130, 130)]
    frames = [GREY, GREY, *shown[:2], GREY, GREY, *shown[2:], GREY]
    track = tracker.track(frames)
    assert track.found.tolist() == [False, False, True, True, False, False, True, True, False]
    assert track.report.n_frames == 9
    assert track.report.coverage == pytest.approx(4 / 9)
    assert track.report.gaps == [(0, 0.08), (0.16, 0.24), (0.32, 0.36)]
    left = track.points68[:, :, 0].mean(axis=1)
    np.testing.assert_allclose(left[0], left[2], atol=0.5)  # both ends held
    np.testing.assert_allclose(left[-1], left[-2], atol=0.5)
    np.testing.assert_allclose(np.diff(left[3:7]), 10, atol=4)  # a straight way across
    assert left[-1] - left[0] == pytest.approx(30, abs=2)


def test_jitter_is_smoothed_without_lag(tracker: FaceTracker) -> None:
    steady = tracker.track([paste(GREY, 240, 100 + 4 * t, 60) for t in range(9)])
    shaky = tracker.track([paste(GREY, 240, 100 + 4 * t + t % 2 * 2, 60) for t in range(9)])

    def roughness(track: FaceTrack) -> float:
        return float(np.abs(np.diff(track.points68[:, 30, 0], n=2))[1:-1].mean())

    assert roughness(shaky) < 2  # 4 px in the input
    left = steady.points68[:, 30, 0]
    assert left[4] == pytest.approx((left[2] + left[6]) / 2, abs=0.7)


@pytest.mark.parametrize("n_frames", [0, 1, 2, 11])
def test_any_length_works(tracker: FaceTracker, n_frames: int) -> None:
    track = tracker.track(iter([portrait()] * n_frames))
    assert track.points68.shape == (n_frames, 68, 2)
    assert track.points68.dtype == np.float32
    assert track.boxes.shape == (n_frames, 4)
    assert track.report.coverage == (1 if n_frames else 0)


def test_no_face_gives_an_empty_track(tracker: FaceTracker) -> None:
    track = tracker.track(specks(4))
    assert not track.found.any()
    assert not track.points68.any()
    assert (track.report.coverage, track.report.face_width_px) == (0, 0)
    assert track.report.gaps == [(0, 0.16)]


def test_a_track_does_not_depend_on_the_one_before(tracker: FaceTracker, whole: FaceTrack) -> None:
    tracker.track([paste(GREY, 240, 380, 100)] * 2)
    again = tracker.track([portrait()] * 3)
    np.testing.assert_array_equal(again.points68, whole.points68)


def test_each_thread_may_have_its_tracker(whole: FaceTrack) -> None:
    tracks: list[FaceTrack] = []

    def work() -> None:
        with FaceTracker() as own:
            tracks.append(own.track([portrait()] * 3))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tracks) == 2
    for track in tracks:
        np.testing.assert_array_equal(track.points68, whole.points68)


def test_fill_gaps_interpolates_and_holds() -> None:
    points = np.zeros((6, 1, 2))
    points[[1, 4], 0] = [(1, 10), (4, 40)]
    found = np.array([False, True, False, False, True, False])
    filled = fill_gaps(points, found)[:, 0]
    np.testing.assert_allclose(filled[:, 0], [1, 1, 2, 3, 4, 4])
    np.testing.assert_allclose(filled[:, 1], [10, 10, 20, 30, 40, 40])
    with pytest.raises(ValueError, match="no frame has face points"):
        fill_gaps(points, ~np.ones(6, dtype=bool))


def test_tracking_leaves_standard_error_to_us() -> None:
    program = """
import sys
from avsr_frontends.landmarks import FaceTracker
from tests.signals import portrait
import numpy as np
with FaceTracker() as tracker:
    tracker.track([portrait(), np.zeros((256, 256, 3), np.uint8), portrait()])
    tracker.track([portrait()])
print("our own words", file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines() == ["our own words"]

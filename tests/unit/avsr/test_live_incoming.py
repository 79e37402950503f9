"""Sound and pictures as they come: pieces of any size, bursts, stalls, and late starts."""

import numpy as np
import pytest

from avsr.live.incoming import IncomingPictures, IncomingSound
from tests.signals import tone


def _numbers(frames: list[np.ndarray | None]) -> list[int | None]:
    return [None if frame is None else int(frame[0, 0, 0]) for frame in frames]


def _picture(number: int) -> np.ndarray:
    return np.full((2, 2, 3), number, dtype=np.uint8)


@pytest.mark.parametrize("size", [7, 640, 5000])
def test_sound_is_the_same_in_pieces_of_any_size(size: int) -> None:
    wave = tone(1.0, 200.0)
    sound = IncomingSound()
    for first in range(0, len(wave), size):
        sound.add(wave[first : first + size], 16_000, None)
    assert sound.n_frames == 25
    np.testing.assert_array_equal(sound.take(25), wave)


def test_sound_of_another_rate_is_resampled_and_channels_are_averaged() -> None:
    sound = IncomingSound()
    sound.add(np.stack([np.full(48_000, 0.5), np.zeros(48_000)], axis=1), 48_000, 0.0)
    assert sound.n_frames == 24  # the resampler holds a little back
    assert sound.take(24)[4000:8000] == pytest.approx(0.25, abs=0.01)


def test_sound_that_starts_late_or_stops_leaves_silence() -> None:
    sound = IncomingSound()
    sound.fill(10)
    assert sound.n_frames == 0  # it may still come
    sound.fill(25)
    assert sound.n_frames == 25
    sound.add(np.ones(32_000, np.float32), 16_000, 0.5)  # half a second of it comes too late
    assert sound.n_frames == 62
    heard = sound.take(62)
    assert not heard[:16_000].any()
    assert heard[16_000:].min() == 1
    sound.fill(70)
    assert sound.n_frames == 62


def test_pictures_of_any_rate_become_25_a_second() -> None:
    pictures = IncomingPictures()
    given = [f for n in range(31) for f in pictures.add(_picture(n), n / 30)]
    assert len(given) == pictures.n_frames == 25
    shown = [round(time * 30 - 0.5) for time in (np.arange(25) + 0.5) / 25]
    assert _numbers(given) == pytest.approx(shown, abs=1)


def test_a_stalled_camera_shows_nothing_and_goes_on() -> None:
    pictures = IncomingPictures()
    pictures.add(_picture(1), 0.0)
    assert pictures.fill(10) == []
    assert _numbers(pictures.fill(20)) == [None] * 20
    assert pictures.fill(22) == [None] * 2
    assert pictures.add(_picture(2), 0.1) == []  # too late for its place
    assert _numbers(pictures.add(_picture(3), 1.0)) == [2] * 3


def test_pictures_in_bursts_have_their_own_times() -> None:
    pictures = IncomingPictures()
    given = [f for n in range(5) for f in pictures.add(_picture(n), 0.04 * n)]
    given += [f for n in range(5, 50) for f in pictures.add(_picture(n), 0.04 * n)]
    assert _numbers(given) == list(range(49))


def test_what_is_not_expected_is_not_waited_for() -> None:
    sound = IncomingSound(is_expected=False)
    sound.fill(3)
    assert sound.n_frames == 3
    assert IncomingPictures(is_expected=False).fill(3) == [None] * 3

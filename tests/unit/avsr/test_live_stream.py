"""Live streams of the bundled miniature on a sample clip."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avsr
from avsr.errors import UsageError
from avsr.live.clocks import SimulatedClock
from avsr.live.sources import AsIfLive, Picture, Sound, captions
from avsr.live.stream import LiveUpdate
from avsr.recognizer import Recognizer
from avsr.transcription import Word
from avsr_frontends.media import iter_video, read_audio

CLEAN = Path(__file__).parents[3] / "demo" / "samples" / "clean.mp4"
SAID = "set blue with t one please"

Item = Picture | Sound


class _Items:
    """A source of given items."""

    def __init__(self, items: list[tuple[float, Item]]) -> None:
        self._items = sorted(items, key=lambda item: item[0])
        self.is_over = False

    def take(self, now_s: float) -> list[Item]:
        taken = [item for due, item in self._items if due <= now_s]
        self._items = self._items[len(taken) :]
        self.is_over = not self._items
        return taken


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return avsr.load("grid-tiny", device="cpu")


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(iter_video(CLEAN))


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return read_audio(CLEAN)


def _sounds(wave: np.ndarray, piece_s: float, start_s: float = 0.0) -> list[tuple[float, Item]]:
    n = round(piece_s * 16_000)
    pieces = [
        (first / 16_000 + start_s, wave[first : first + n]) for first in range(0, len(wave), n)
    ]
    return [(t + piece_s, Sound(samples=piece, rate=16_000, time_s=t)) for t, piece in pieces]


def _shown(pictures: list[np.ndarray], start_s: float = 0.0) -> list[tuple[float, Item]]:
    times = [start_s + n / 25 for n in range(len(pictures))]
    return [(t, Picture(rgb=p, time_s=t)) for t, p in zip(times, pictures, strict=True)]


def _updates(
    recognizer: Recognizer, items: list[tuple[float, Item]], **changes: Any
) -> Iterator[LiveUpdate]:
    with recognizer.stream(**changes) as stream:
        for _, update in captions(stream, _Items(items), SimulatedClock()):
            yield update


def _text(updates: list[LiveUpdate]) -> str:
    return " ".join(word.word for update in updates for word in update.committed)


def test_words_come_while_the_clip_plays_and_are_those_of_the_clip(recognizer: Recognizer) -> None:
    committed: list[Word] = []
    early = 0
    with recognizer.stream() as stream:
        for _, update in captions(stream, AsIfLive(CLEAN), SimulatedClock()):
            committed += update.committed
            if not update.sentence_ends:
                early = len(committed)
    assert " ".join(word.word for word in committed) == SAID
    assert early >= 3  # before the sentence was over
    assert all(a.start <= b.start for a, b in pairwise(committed))


def test_sound_in_large_pieces_and_pictures_in_bursts(
    recognizer: Recognizer, pictures: list[np.ndarray], sound: np.ndarray
) -> None:
    late = [(np.ceil(due / 0.4) * 0.4, item) for due, item in _shown(pictures)]
    updates = list(_updates(recognizer, [*late, *_sounds(sound, 0.5)]))
    assert _text(updates) == SAID
    assert {update.modality for update in updates if update.committed} == {"av"}


def test_a_camera_that_stalls_leaves_the_sound(
    recognizer: Recognizer, pictures: list[np.ndarray], sound: np.ndarray
) -> None:
    updates = list(_updates(recognizer, [*_shown(pictures[:5]), *_sounds(sound, 0.1)]))
    assert _text(updates) == SAID
    assert updates[-1].until_s == pytest.approx(len(sound) / 16_000, abs=0.1)


def test_sound_that_starts_late_does_not_stop_the_lips(
    recognizer: Recognizer, pictures: list[np.ndarray], sound: np.ndarray
) -> None:
    film = _shown([pictures[0]] * 50 + pictures)
    updates = list(_updates(recognizer, [*film, *_sounds(sound, 0.1, start_s=2.0)]))
    assert _text(updates) == SAID


def test_sound_that_stops_leaves_the_lips(
    recognizer: Recognizer, pictures: list[np.ndarray], sound: np.ndarray
) -> None:
    quiet = _sounds(0 * sound[:3200], 0.1)
    updates = list(_updates(recognizer, [*_shown(pictures), *quiet]))
    assert {update.modality for update in updates if update.committed} == {"video"}
    assert len(_text(updates).split()) == 6


def test_silence_stays_silent(recognizer: Recognizer, pictures: list[np.ndarray]) -> None:
    noise = 0.003 * np.random.default_rng(0).standard_normal(16_000 * 4).astype(np.float32)
    updates = list(_updates(recognizer, [*_shown([pictures[0]] * 100), *_sounds(noise, 0.1)]))
    assert _text(updates) == ""
    assert not any(update.guess for update in updates)


def test_memory_does_not_grow_with_rest(recognizer: Recognizer, pictures: list[np.ndarray]) -> None:
    with recognizer.stream() as stream:
        for second in range(20):
            stream.add_sound(np.zeros(16_000, np.float32), 16_000)
            for frame in range(25):
                stream.add_picture(pictures[0], second + frame / 25)
            stream.read(second + 1.0)
        held = stream._window.n_frames
    assert held <= 30


def test_a_sentence_that_is_over_is_read_at_once_and_not_held_up_before(
    recognizer: Recognizer, sound: np.ndarray
) -> None:
    ends_s = recognizer.transcribe(sound).segments[0].words[-1].end
    n_pause, n_over = round((ends_s + 0.5) * 16_000), round((ends_s + 1.5) * 16_000)
    wave = np.pad(sound[:n_pause], (0, n_over - n_pause))
    with recognizer.stream(modality="audio") as stream:
        stream.add_sound(wave[:24_000], 16_000)
        assert stream.read(1.5).guess
        stream.pace.has_read(0.0, 1.0)  # readings are slow, and one is due
        stream.add_sound(wave[24_000:n_pause], 16_000)
        assert stream.read(n_pause / 16_000).modality is None
        stream.pace.has_read(n_pause / 16_000, 9.0)  # none is due for long
        stream.add_sound(wave[n_pause:], 16_000)
        update = stream.read(n_over / 16_000)
    assert update.sentence_ends
    assert " ".join(word.word for word in update.committed) == SAID


def test_what_makes_no_sense_live_is_told(recognizer: Recognizer) -> None:
    with pytest.raises(UsageError, match="live stream"):
        recognizer.stream(start=1.0)
    with pytest.raises(TypeError, match="no option"):
        recognizer.stream(colour="red")


def test_memory_is_given_back_once_a_minute_while_nobody_speaks(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back_s: list[float] = []
    second = np.zeros(16_000, dtype=np.float32)
    with recognizer.stream(modality="audio") as stream:
        for now in range(1, 131):
            monkeypatch.setattr(
                "avsr.live.stream.release_memory", lambda now=now: given_back_s.append(now)
            )
            stream.add_sound(second, 16_000)
            stream.read(float(now))
    assert len(given_back_s) == 2
    assert 60 <= given_back_s[0] <= 62
    assert 120 <= given_back_s[1] <= 124

"""Lips and voices as they come are those of the whole recording."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from avsr_frontends.activity import VoiceListener, voice_probabilities
from avsr_frontends.landmarks import FaceTracker
from avsr_frontends.live_lips import LiveLips, Mouths
from avsr_frontends.media import iter_video, read_audio
from avsr_frontends.mouth import crop_mouth, grey_crops

CLEAN = Path(__file__).parents[3] / "demo" / "samples" / "clean.mp4"


@pytest.fixture
def lips() -> Iterator[LiveLips]:
    with LiveLips() as lips:
        yield lips


def test_settled_crops_are_those_of_the_whole_clip(lips: LiveLips) -> None:
    pictures = list(iter_video(CLEAN))[:30]
    with FaceTracker() as tracker:
        track = tracker.track(pictures)
    whole = grey_crops(crop_mouth(pictures, track.points68))
    settled: list[Mouths] = []
    for first in range(0, 30, 4):
        for picture in pictures[first : first + 4]:
            lips.add(picture)
        settled.append(lips.settled())
        assert len(lips.pending().mouth) <= 6
    live = np.concatenate([*(one.mouth for one in settled), lips.pending().mouth])
    assert live.shape == whole.shape
    difference = np.abs(live[:24].astype(int) - whole[:24])
    assert difference.mean() < 1.0
    assert np.abs(live[24:].astype(int) - whole[24:]).mean() < 3.0


def test_hidden_faces_and_missing_pictures_are_not_seen(lips: LiveLips) -> None:
    picture = next(iter(iter_video(CLEAN)))
    for frame in [None, None, picture, picture, 0 * picture, None]:
        lips.add(frame)
    mouths = lips.pending()
    assert len(lips.settled().mouth) == 0
    assert np.isfinite(mouths.motion).tolist() == [False, False, True, True, False, False]
    assert not mouths.mouth[0].any()
    assert mouths.mouth[2].any()


def test_a_voice_in_pieces_is_that_of_the_whole_sound() -> None:
    wave = read_audio(CLEAN)
    wave = wave[: len(wave) // 640 * 640]
    listener = VoiceListener()
    pieces = [listener.add(wave[first : first + 1920]) for first in range(0, len(wave), 1920)]
    live, whole = np.concatenate(pieces), voice_probabilities(wave)
    assert live.shape == whole.shape
    assert np.corrcoef(live, whole)[0, 1] > 0.9
    assert ((live > 0.5) == (whole > 0.5)).mean() > 0.9

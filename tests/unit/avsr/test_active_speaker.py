"""Who speaks: lips that rest do not, of moving ones those that fit the sound."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from avsr.clips.clip import Clip, Lips
from avsr.pretrained import load_model
from avsr.recognition.active_speaker import choose_speaker, speaking_clip, synchrony, words_on_lips
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME

N_FRAMES = 75


def syllables(seed: int) -> np.ndarray:
    """[T] a smooth curve between 0 and 1, as mouths and loudness follow."""
    steps = np.random.default_rng(seed).random(N_FRAMES // 5 + 1)
    return np.interp(np.arange(N_FRAMES) / 5, np.arange(len(steps)), steps)


def lips(person: int, opening: np.ndarray, motion: float, seen: float = 1.0) -> Lips:
    moving = np.full(N_FRAMES, motion, dtype=np.float32)
    moving[round(seen * N_FRAMES) :] = np.nan
    crops = np.full((N_FRAMES, 96, 96), 20 * person, dtype=np.uint8)
    return Lips(person=person, mouth=crops, motion=moving, opening=opening.astype(np.float32))


def voice(loudness: np.ndarray, lag: int = 0) -> np.ndarray:
    """[N] noise as loud as a curve, ``lag`` frames later."""
    noise = np.random.default_rng(9).normal(0, 0.1, N_FRAMES * SAMPLES_PER_VIDEO_FRAME)
    return (noise * np.repeat(10 ** (2 * np.roll(loudness, lag) - 2), 640)).astype(np.float32)


def test_resting_lips_do_not_speak() -> None:
    still, moving = lips(1, syllables(1), 0.02), lips(2, syllables(2), 0.3)
    choice = choose_speaker([still, moving], voice(syllables(1)))
    assert (choice.index, choice.reason) == (1, "the only lips that move")


@pytest.mark.parametrize("lag", [-4, 0, 4])
@pytest.mark.parametrize("speaker", [0, 1, 2])
def test_of_moving_lips_those_speak_that_follow_the_loudness(speaker: int, lag: int) -> None:
    faces = [lips(person, syllables(person), 0.3) for person in (1, 2, 3)]
    choice = choose_speaker(faces, voice(syllables(speaker + 1), lag))
    assert choice.index == speaker


def test_words_decide_where_they_can_be_compared() -> None:
    asked: list[int] = []

    def agreement(rivals: Sequence[Lips]) -> list[float]:
        asked.extend(face.person for face in rivals)
        return [-3.0, -1.0]

    faces = [lips(1, syllables(1), 0.3), lips(2, syllables(2), 0.0), lips(3, syllables(3), 0.3)]
    assert choose_speaker(faces, voice(syllables(1)), agreement).index == 2
    assert asked == [1, 3]  # not the one whose lips rest


def test_without_sound_the_liveliest_lips_count() -> None:
    faces = [lips(1, syllables(1), 0.2), lips(2, syllables(2), 0.3)]
    for audio in (None, np.zeros(48_000, dtype=np.float32)):
        assert choose_speaker(faces, audio).index == 1


def test_a_face_that_hardly_shows_is_no_rival() -> None:
    faces = [lips(1, syllables(1), 0.2), lips(2, syllables(2), 0.5, seen=0.2)]
    assert choose_speaker(faces, voice(syllables(2))).index == 0


def test_synchrony_is_a_correlation() -> None:
    curve = syllables(4)
    assert synchrony(curve, voice(curve)) > 0.8
    assert synchrony(np.zeros(N_FRAMES), voice(curve)) == 0
    assert synchrony(curve[:5], voice(curve)[: 5 * 640]) == 0


def test_lips_of_the_speaker_and_of_others_where_she_is_hidden(tiny_folder: Path) -> None:
    loaded = load_model(tiny_folder, "cpu")
    faces = (lips(1, syllables(1), 0.3, seen=0.8), lips(2, syllables(2), 0.0))
    clip, person = speaking_clip(loaded, Clip(audio=voice(syllables(1)), faces=faces))
    assert person == 1
    assert clip.mouth is not None
    assert clip.faces == ()
    assert clip.mouth[:60, 0, 0].tolist() == [20] * 60
    assert clip.mouth[60:, 0, 0].tolist() == [40] * 15
    alone = Clip(mouth=faces[0].mouth)
    assert speaking_clip(loaded, alone) == (alone, None)


def test_heard_words_are_scored_on_each_face(tiny_folder: Path) -> None:
    loaded = load_model(tiny_folder, "cpu")
    generator = np.random.default_rng(0)
    crops = generator.integers(0, 255, (2, 25, 96, 96), dtype=np.uint8)
    faces = [Lips.unseen(person, 25) for person in (1, 2, 3)]
    for face, values in zip(faces, (crops[0], crops[1], crops[0]), strict=True):
        face.mouth[:] = values
    scores = words_on_lips(loaded, generator.normal(0, 0.1, 16_000).astype(np.float32), faces)
    assert scores[0] == pytest.approx(scores[2])
    assert scores[0] != pytest.approx(scores[1])
    assert max(scores) < 0

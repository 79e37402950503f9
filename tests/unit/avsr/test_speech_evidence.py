"""Signs of speech on arrays: voice, lips, and what they say together."""

import numpy as np
import pytest

from avsr.clips.clip import Clip
from avsr.recognition.speech_evidence import Evidence, gather_evidence

STILL = np.full(100, 0.02, dtype=np.float32)
MOVING = np.full(100, 0.3, dtype=np.float32)
HIDDEN = np.full(100, np.nan, dtype=np.float32)


def test_lips_speak_rest_or_are_hidden() -> None:
    assert Evidence(motion=MOVING).lips_speak()
    assert Evidence(motion=STILL).lips_rest()
    for unseen in (HIDDEN, None):
        evidence = Evidence(motion=unseen)
        assert not evidence.lips_speak()
        assert not evidence.lips_rest()


@pytest.mark.parametrize(
    ("voice", "motion", "modality", "expected"),
    [
        (0.95, STILL, "av", 0.05),  # the stronger sign counts
        (0.05, MOVING, "av", 0.0),
        (0.05, STILL, "av", 0.95),
        (0.05, MOVING, "audio", 0.95),
        (0.95, STILL, "video", 1.0),
        (0.05, HIDDEN, "av", 0.95),
        (0.05, None, "av", 0.5),  # nothing is known of the lips
    ],
)
def test_no_speech_prob(
    voice: float, motion: np.ndarray | None, modality: str, expected: float
) -> None:
    evidence = Evidence(voice=np.full(100, voice, np.float32), motion=motion)
    assert evidence.no_speech_prob(modality) == pytest.approx(expected)  # pyright: ignore[reportArgumentType]


def test_a_hint_is_enough_not_to_look_away() -> None:
    whisper = Evidence(voice=np.full(100, 0.3, np.float32), motion=STILL)
    assert whisper.any_sign("audio")
    assert not Evidence(voice=np.full(100, 0.1, np.float32), motion=STILL).any_sign("av")
    assert not whisper.any_sign("video")


def test_a_voice_that_fades_goes_on_and_a_pause_is_bridged() -> None:
    voice = np.zeros(100, np.float32)
    voice[20:30], voice[30:40], voice[50:60], voice[90:95] = 0.9, 0.3, 0.8, 0.4
    assert Evidence(voice=voice).speaking("audio") == [(20, 60)]


def test_noise_is_no_voice_and_silence_is_not_listened_to() -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=32_000).astype(np.float32)
    evidence = gather_evidence(Clip(audio=noise))
    assert evidence.n_frames == 50
    assert evidence.speaking("audio") == []
    silence = gather_evidence(Clip(audio=np.zeros(32_100, np.float32)))
    assert silence.voice is not None
    assert silence.voice.tolist() == [0.0] * 51

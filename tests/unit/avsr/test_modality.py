"""What a clip is read from: every combination of what it has and what was asked for."""

from dataclasses import replace

import numpy as np
import pytest

from avsr.clips.read import Clip
from avsr.errors import InputError
from avsr.recognition.modality import choose_modality, fallback_modality
from avsr_frontends.landmarks import TrackReport

LOUD = np.full(16_000, 0.1, dtype=np.float32)
MOUTH = np.zeros((25, 96, 96), dtype=np.uint8)


def _face(coverage: float) -> TrackReport:
    return TrackReport(n_frames=25, coverage=coverage, face_width_px=90.0 if coverage else 0.0)


BOTH = Clip(audio=LOUD, mouth=MOUTH, face=_face(1.0))
SOUND_FILE = Clip(audio=LOUD)
MUTE = Clip(mouth=MOUTH, face=_face(1.0))
SILENT = Clip(audio=0 * LOUD, mouth=MOUTH, face=_face(1.0))
FACELESS = Clip(audio=LOUD, face=_face(0.0))
RARE_FACE = Clip(audio=LOUD, mouth=MOUTH, face=_face(0.2))
SILENCE = Clip(audio=0 * LOUD)
BLIND = Clip(face=_face(0.0))


@pytest.mark.parametrize(
    ("clip", "modality", "reason"),
    [
        (BOTH, "av", "there are sound and a face"),
        (SOUND_FILE, "audio", "there is no picture"),
        (MUTE, "video", "there is no sound"),
        (SILENT, "video", "the sound is silent"),
        (FACELESS, "audio", "no face was found in 25 frames"),
        (RARE_FACE, "audio", "no usable face: found in 20% of 25 frames, 50% needed"),
        (replace(SOUND_FILE, undecodable=("picture",)), "audio", "the picture cannot be decoded"),
        (replace(MUTE, undecodable=("sound",)), "video", "the sound cannot be decoded"),
    ],
)
def test_auto_says_what_and_why(clip: Clip, modality: str, reason: str) -> None:
    choice = choose_modality(clip, "auto")
    assert choice is not None
    assert (choice.modality, choice.reason) == (modality, reason)


def test_silence_without_lips_is_no_speech() -> None:
    assert choose_modality(SILENCE, "auto") is None
    assert choose_modality(SILENCE, "audio") is None


@pytest.mark.parametrize(
    ("clip", "asked", "message"),
    [
        (BLIND, "auto", "there is no sound and no face was found"),
        (MUTE, "audio", "there is no sound, so modality 'audio' is impossible"),
        (MUTE, "av", "there is no sound, so modality 'av' is impossible"),
        (SOUND_FILE, "video", "there is no picture, so modality 'video' is impossible"),
        (FACELESS, "av", "no face was found in 25 frames, so modality 'av' is impossible"),
    ],
)
def test_the_impossible_is_an_error(clip: Clip, asked: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_modality(clip, asked)  # pyright: ignore[reportArgumentType]
    assert message in str(caught.value)


def test_a_named_modality_is_kept_but_doubted_where_the_face_is_rare() -> None:
    choice = choose_modality(RARE_FACE, "video")
    assert choice is not None
    assert (choice.modality, choice.low_coverage) == ("video", True)
    sound = choose_modality(RARE_FACE, "audio")
    assert sound is not None
    assert not sound.low_coverage


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (BOTH, {"av": "av", "audio": "audio", "video": "video"}),
        (FACELESS, {"av": "audio", "audio": "audio", "video": None}),
        (RARE_FACE, {"av": "audio", "audio": "audio", "video": "video"}),
        (MUTE, {"av": "video", "audio": None, "video": "video"}),
        (BLIND, {"av": None, "audio": None, "video": None}),
    ],
)
def test_fallback_in_evaluation(clip: Clip, expected: dict[str, str | None]) -> None:
    assert {wanted: fallback_modality(clip, wanted) for wanted in expected} == expected  # pyright: ignore[reportArgumentType]


def test_crops_without_a_face_report_are_lip_read() -> None:
    crops = np.zeros((25, 96, 96), dtype=np.uint8)
    choice = choose_modality(Clip(mouth=crops), "auto")
    assert choice is not None
    assert choice.modality == "video"

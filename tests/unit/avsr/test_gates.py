"""What may be shown, and loops that are cut."""

import math

import numpy as np
import pytest

from avsr.recognition.gates import judge, loop_free
from avsr.recognition.hypotheses import Hypothesis
from avsr.recognition.speech_evidence import Evidence


def _evidence(voice: float, motion: float | None) -> Evidence:
    lips = None if motion is None else np.full(75, motion, np.float32)
    return Evidence(voice=np.full(75, voice, np.float32), motion=lips)


@pytest.mark.parametrize(
    ("voice", "motion", "confidence", "modality", "kept"),
    [
        (0.9, 0.3, 0.2, "av", True),  # spoken, whatever the model thinks of its words
        (0.1, 0.02, 0.5, "av", False),  # nothing speaks
        (0.1, 0.02, 0.9, "av", True),  # unless the model is sure
        (0.1, 0.3, 0.5, "av", True),  # the lips do
        (0.9, 0.02, 0.5, "av", False),  # a voice, but not of these lips
        (0.9, 0.02, 0.9, "av", True),
        (0.9, np.nan, 0.3, "av", True),  # nobody is seen
        (0.1, None, 0.5, "audio", False),
        (0.5, None, 0.35, "audio", False),  # something like a voice, and hardly a word
        (0.5, None, 0.6, "audio", True),
        (0.1, None, 0.5, "av", True),  # nothing is known of the lips
    ],
)
def test_words_need_evidence_or_certainty(
    voice: float, motion: float | None, confidence: float, modality: str, kept: bool
) -> None:
    hypothesis = Hypothesis(text="bin blue", avg_logprob=math.log(confidence))
    verdict = judge(hypothesis, _evidence(voice, motion), modality)  # pyright: ignore[reportArgumentType]
    assert verdict.kept is kept
    assert bool(verdict.reason) is not kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bin blue at f two now", "bin blue at f two now"),
        ("no no no", "no no no"),
        ("thank you " * 20, "thank you"),
        ("so a b c a b c a b c then", "so a b c then"),
        ("very very very very very very well", "very well"),
        ("a b a b", "a b a b"),
        ("", ""),
    ],
)
def test_loops_are_cut_to_one(text: str, expected: str) -> None:
    words = text.split()
    assert " ".join(words[index] for index in loop_free(words)) == expected

"""What keeps words from being invented: loops are cut, and unsure words without speech dropped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from avsr.recognition.hypotheses import Hypothesis
from avsr.recognition.speech_evidence import Evidence
from avsr.route import Modality

_LONGEST_LOOP = 8  # words that are repeated together
_LOOP_WORDS = 6  # so many words in repetitions are no longer speech ("no no no" is)
_LOOP_TIMES = 3  # so often, at least
_NO_SPEECH = 0.6  # from this probability that nobody speaks, ...
_SURE = math.log(0.8)  # ... only words that are surer than this count
_MAYBE_NO_SPEECH = 0.3  # likewise, where only sound is read, and its voice is not a plain one
_MAYBE_SURE = math.log(0.5)
_STILL_LIPS_SURE = math.log(0.6)  # likewise where a voice is heard while the visible lips rest


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a text may be shown.

    Attributes:
        kept: it may.
        reason: a phrase that says why not; empty if kept.
    """

    kept: bool
    reason: str = ""


def judge(hypothesis: Hypothesis, evidence: Evidence, modality: Modality) -> Verdict:
    """Decide whether what a model read from a piece was said there.

    Args:
        hypothesis: what was read.
        evidence: signs of speech in that piece.
        modality: what it was read from.
    """
    sure = hypothesis.avg_logprob
    no_speech = evidence.no_speech_prob(modality)
    if no_speech > _NO_SPEECH and sure < _SURE:
        return Verdict(kept=False, reason="neither a voice nor moving lips are evident")
    if modality == "audio" and no_speech > _MAYBE_NO_SPEECH and sure < _MAYBE_SURE:
        return Verdict(kept=False, reason="the signs of speech are weak and the words unsure")
    if modality == "av" and evidence.lips_rest() and sure < _STILL_LIPS_SURE:
        return Verdict(kept=False, reason="the visible lips rest and the words are unsure")
    return Verdict(kept=True)


def loop_free(words: Sequence[str]) -> list[int]:
    """Find the words that remain when a model's endless repetitions are cut to one.

    Returns:
        Indices of the words to keep; all of them where nothing loops.
    """
    kept: list[int] = []
    index = 0
    while index < len(words):
        size, times = _loop_at(words, index)
        kept += range(index, index + size)
        index += size * times
    return kept


def _loop_at(words: Sequence[str], start: int) -> tuple[int, int]:
    """Length and repetitions of the loop that starts here; (1, 1) where none does."""
    for size in range(1, _LONGEST_LOOP + 1):
        unit = list(words[start : start + size])
        times = 1
        while list(words[start + size * times : start + size * (times + 1)]) == unit:
            times += 1
        if times >= _LOOP_TIMES and size * times >= _LOOP_WORDS:
            return size, times
    return 1, 1

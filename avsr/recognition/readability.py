"""Whether what is said in an input is what the model reads, judged for the input as a whole.

A model that learned few sentences turns every speech into one of them, fluently, and single words
that nobody said may seem sure. Some signs give it away. The CTC heads, which hear or see without a
language model's expectations, would have read something else by far; the language model is unsure
over all; and so is the audio encoder's own decoder of its draft, where there is one. The signs are
summed over all texts of an input, taken per token, and weighed by a logistic regression for each
modality, as confidence estimation does (Yu, Li and Deng, "Calibration of confidence measures in
speech recognition", IEEE TASLP 19(8), 2011). Its weights come with the model, in
``readability.json`` of its folder, of those signs that tell something about it:

    {"av": {"bias": ..., "log_prob": ..., "audio_gap": ..., "video_gap": ...},
     "audio": {"bias": ..., "draft_log_prob": ..., ...}, ...}

A model without that file, or without weights for a modality, is not judged, nor is a reading
without a sign that has a weight.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

import torch

from avsr.model_files.readability import ReadabilityWeights
from avsr.model_parts.ctc import clip_scores, ctc_heads
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import Hypothesis
from avsr.route import Modality, Route
from avsr.transcription import Segment

__all__ = ["Signs", "gather_signs", "passage_doubts", "readability", "readability_doubts"]

_DOUBTED = 0.5  # probability below which a text is doubted
_PASSAGE_S = 4.0  # shorter passages are not doubted on their own: few words tell little
_SUREST = 50.0  # log-odds
_NOT_READ = "probably not what the model reads (another language, other sentences or no speech)"


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What tells of one text, or of several in sum, whether it was said.

    Attributes:
        n_tokens: of the text.
        log_prob: sum of its tokens' log-probabilities.
        gaps: for each head that heard or saw it, by how much its log-probability of the text is
            less than that of its own best path.
        draft: the ``log_prob`` of the draft's tokens, their mean, and its ``spread``, their
            standard deviation, each times ``n_tokens``; empty without a draft.
    """

    n_tokens: int = 0
    log_prob: float = 0.0
    gaps: Mapping[str, float] = field(default_factory=dict)
    draft: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: "Signs") -> "Signs":
        return Signs(
            n_tokens=self.n_tokens + other.n_tokens,
            log_prob=self.log_prob + other.log_prob,
            gaps=_sums(self.gaps, other.gaps),
            draft=_sums(self.draft, other.draft),
        )

    def enough_for(self, weights: Mapping[str, float]) -> bool:
        """Whether there is a text, and every sign of it that has a weight."""
        return self.n_tokens > 0 and {"bias", *self.per_token()} >= weights.keys()

    def per_token(self) -> dict[str, float]:
        """The signs by the names that the weights have; of at least one token."""
        sums = {
            "log_prob": self.log_prob,
            **{f"{name}_gap": gap for name, gap in self.gaps.items()},
            **{f"draft_{name}": value for name, value in self.draft.items()},
        }
        return {name: value / self.n_tokens for name, value in sums.items()}


def _sums(some: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    return {
        name: some.get(name, 0.0) + others.get(name, 0.0)
        for name in dict.fromkeys([*some, *others])
    }


@torch.inference_mode()
def gather_signs(
    loaded: LoadedModel, hypothesis: Hypothesis, streams: EncodedStreams, route: Route
) -> Signs:
    """Look at what was read from one clip.

    Args:
        loaded: the model.
        hypothesis: what it read.
        streams: the clip, a batch of one.
        route: what it was read by.
    """
    ids = list(hypothesis.token_ids)
    if not ids:
        return Signs()
    used = streams.of(route)
    heads = ctc_heads(loaded.model)
    names = [encoded.stream for encoded in used.present if heads[encoded.stream]]
    gaps: dict[str, float] = {}
    for name, head in zip(names, clip_scores(loaded.model, used, [route])[0], strict=True):
        (gaps[name],) = head.gaps([ids])
    return Signs(
        n_tokens=len(ids),
        log_prob=sum(hypothesis.token_log_probs),
        gaps=gaps,
        draft=_of_draft(hypothesis),
    )


def _of_draft(hypothesis: Hypothesis) -> dict[str, float]:
    """What the draft tells of the text."""
    draft, n_tokens = hypothesis.draft, len(hypothesis.token_ids)
    if draft is None:
        return {}
    return {
        "log_prob": n_tokens * fmean(draft.log_probs),
        "spread": n_tokens * pstdev(draft.log_probs),
    }


def readability(
    parts: Iterable[Mapping[Modality, Signs]], weights: ReadabilityWeights
) -> float | None:
    """How probable it is that a model reads what is said in an input.

    Args:
        parts: the signs of the input's parts, by what was read.
        weights: those of the model.

    Returns:
        0 to 1; None where nothing was read that can be judged.
    """
    sums: dict[Modality, Signs] = {}
    for part in parts:
        for modality, signs in part.items():
            sums[modality] = sums.get(modality, Signs()) + signs
    score, n_tokens = 0.0, 0
    for modality, signs in sums.items():
        if modality in weights and signs.enough_for(weights[modality]):
            found = {"bias": 1.0, **signs.per_token()}
            terms = (value * found[name] for name, value in weights[modality].items())
            score += signs.n_tokens * sum(terms)
            n_tokens += signs.n_tokens
    if n_tokens == 0:
        return None
    return 1 / (1 + math.exp(-max(-_SUREST, min(_SUREST, score / n_tokens))))


def passage_doubts(segments: Sequence[Segment]) -> list[str]:
    """What a user must be told of an input that is read as a whole, but not everywhere.

    Args:
        segments: in order.
    """
    passages: list[tuple[float, float]] = []
    goes_on = False
    for segment in segments:
        doubted = segment.readability is not None and segment.readability < _DOUBTED
        if doubted:
            start = passages.pop()[0] if goes_on else segment.start
            passages.append((start, segment.end))
        goes_on = doubted
    long = [f"{start:.1f}-{end:.1f} s" for start, end in passages if end - start >= _PASSAGE_S]
    if not long:
        return []
    more = f" and {len(long) - 5} more" if len(long) > 5 else ""
    return [f"{_NOT_READ}: {'; '.join(long[:5])}{more}; do not trust the words there"]


def readability_doubts(probability: float | None) -> list[str]:
    """What a user must be told: a sentence, or none where nothing speaks against the text."""
    if probability is None or probability >= _DOUBTED:
        return []
    return [f"this is {_NOT_READ}: do not trust this text, nor single words that seem sure"]

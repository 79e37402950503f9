"""What a CTC head makes of a clip, and how well it agrees with a text.

Joint decoding: the language model's beam search proposes texts, and every text that ends is
scored, whole, by each CTC head; source: Watanabe, Hori, Kim, Hershey and Hayashi, "Hybrid
CTC/attention architecture for end-to-end speech recognition", IEEE JSTSP 11(8), 2017, which
rescores finished texts likewise. The heads see one stream each: a sentence that fits sound and
lips alike wins over one that fits only what the language model expected, and a text that repeats
itself, which a mean over tokens favours, loses.
A head says units: the tokens of the language model themselves, or some of them, with which the
others are spelt.
Shapes: T steps, U units, C texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "TOKEN_UNITS",
    "ClipScores",
    "CtcRescorer",
    "CtcUnits",
    "ctc_log_probs",
    "ctc_prefix_bounds",
    "greedy_units",
]

_WIDEST_GAP = 12.0  # per token: what cannot be aligned at all counts no more than this
_LEAST = -1.0e6  # of a text that cannot be aligned: finite, so that sums stay numbers


class CtcUnits(Protocol):
    """What a head says, between token ids of the language model and columns of its scores."""

    def spell(self, token_ids: Sequence[int]) -> list[list[int]]:
        """Units of each token; none for a token that the head cannot say."""
        ...

    def tokens(self, units: Sequence[int]) -> list[int]:
        """Token id of each unit."""
        ...


class _Tokens:
    """Every token is a unit."""

    def spell(self, token_ids: Sequence[int]) -> list[list[int]]:
        return [[token_id] for token_id in token_ids]

    def tokens(self, units: Sequence[int]) -> list[int]:
        return list(units)


TOKEN_UNITS: CtcUnits = _Tokens()


@dataclass(frozen=True, kw_only=True)
class ClipScores:
    """Scores that one head gives one clip.

    Attributes:
        logits: [T, U + 1], the blank last.
        units: what the other columns stand for.
    """

    logits: Tensor
    units: CtcUnits = TOKEN_UNITS

    def spelt(self, token_ids: Sequence[int]) -> list[int]:
        """Units of a text."""
        return [unit for units in self.units.spell(token_ids) for unit in units]

    def gaps(self, texts: Sequence[Sequence[int]]) -> list[float]:
        """By how much each text, token ids, is less probable than the head's own best path."""
        best = float(self.log_probs.amax(dim=-1).sum())
        said = ctc_log_probs(self.log_probs, [self.spelt(text) for text in texts]).tolist()
        return [
            min(best - one, _WIDEST_GAP * max(1, len(text)))
            for text, one in zip(texts, said, strict=True)
        ]

    @cached_property
    def log_probs(self) -> Tensor:
        """[T, U + 1] float32."""
        return self.logits.float().log_softmax(dim=-1)

    def greedy_text(self) -> list[int]:
        """Token ids of what the head reads by itself."""
        return self.units.tokens(greedy_units(self.logits))


def greedy_units(logits: Tensor) -> list[int]:
    """Best unit of each step of one clip, [T, U + 1], repeats merged and blanks left out."""
    blank = logits.shape[-1] - 1
    merged = torch.unique_consecutive(logits.argmax(dim=-1)).tolist()
    return [unit for unit in merged if unit != blank]


def ctc_log_probs(log_probs: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    """Log-probability of each text over all its alignments to the steps.

    Args:
        log_probs: [T, U + 1], the blank last.
        texts: units without an end token.

    Returns:
        [C] float32; minus infinity where a text is longer than the steps allow.
    """
    return _alignment_log_probs(*_said(log_probs, texts))


def ctc_prefix_bounds(log_probs: Tensor, beginnings: Sequence[Sequence[int]]) -> Tensor:
    """What the log-probability of no text exceeds that begins so.

    The beginning is aligned to some steps, and anything at all follows: a text that goes on after
    several steps without a unit is counted once for each of them, so this is a bound.

    Args:
        log_probs: [T, U + 1], the blank last.
        beginnings: units.

    Returns:
        [C] float32, as :func:`ctc_log_probs`.
    """
    log_probs, texts = _said(log_probs, beginnings)
    anything = log_probs.shape[1]
    log_probs = functional.pad(log_probs, (0, 1))  # a unit of probability 1 at every step
    last = torch.full_like(log_probs[:1], -torch.inf)  # and a step more, which says only that
    last[:, anything] = 0.0
    log_probs = torch.cat([log_probs, last])
    return _alignment_log_probs(log_probs, [[*text, anything] for text in texts])


def _said(log_probs: Tensor, texts: Sequence[Sequence[int]]) -> tuple[Tensor, list[list[int]]]:
    """The blank's column, now the first, with those of the texts' units, and the texts in them."""
    units = sorted({unit for text in texts for unit in text})
    columns = {unit: column for column, unit in enumerate(units, start=1)}
    chosen = log_probs[:, [log_probs.shape[1] - 1, *units]]
    return chosen, [[columns[unit] for unit in text] for text in texts]


def _alignment_log_probs(log_probs: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    """[C] of texts over all alignments to [T, U + 1], the blank first."""
    n_texts, n_frames = len(texts), len(log_probs)
    targets = [torch.tensor(list(text), dtype=torch.long) for text in texts]
    losses = functional.ctc_loss(
        log_probs[:, None].expand(-1, n_texts, -1),
        torch.cat(targets).to(log_probs.device),
        torch.full((n_texts,), n_frames),
        torch.tensor([len(target) for target in targets]),
        blank=0,
        reduction="none",
    )
    return -losses


@dataclass(frozen=True, kw_only=True)
class CtcRescorer:
    """Scores the finished texts of a beam search with the help of CTC heads.

    Attributes:
        scores: for each clip, those of each head that saw or heard it, one or two.
        weight: of the heads' mean log-probability, 0 to 1; the language model has the rest.
        end_ids: tokens that end a text, which the heads do not know.
    """

    scores: Sequence[Sequence[ClipScores]]
    weight: float
    end_ids: Sequence[int]

    def of_clips(self, rows: Sequence[int]) -> "CtcRescorer":
        """The rescorer for some clips of the batch."""
        chosen = [self.scores[row] for row in rows]
        return CtcRescorer(scores=chosen, weight=self.weight, end_ids=self.end_ids)

    def joint_scores(self, clip: int, texts: Sequence[Sequence[int]], sums: Tensor) -> Tensor:
        """Weighted log-probabilities of texts under the language model and the heads.

        Args:
            clip: its number.
            texts: token ids, C texts.
            sums: [C] the language model's log-probability of each whole text.

        Returns:
            [C]; never more than the language model's own share of it.
        """
        return self._joint(clip, texts, sums, ctc_log_probs)

    def joint_bounds(self, clip: int, beginnings: Sequence[Sequence[int]], sums: Tensor) -> Tensor:
        """What the joint scores of no text exceed that begins so; as :meth:`joint_scores`."""
        return self._joint(clip, beginnings, sums, ctc_prefix_bounds)

    def _joint(
        self,
        clip: int,
        texts: Sequence[Sequence[int]],
        sums: Tensor,
        score: Callable[[Tensor, Sequence[Sequence[int]]], Tensor],
    ) -> Tensor:
        spoken = [[token for token in text if token not in self.end_ids] for text in texts]
        heads = [
            score(head.log_probs, [head.spelt(text) for text in spoken])
            for head in self.scores[clip]
        ]
        mean = torch.stack(heads).mean(dim=0).to(sums)
        return (1 - self.weight) * sums + self.weight * mean.clamp(min=_LEAST)

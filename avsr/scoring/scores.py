"""Scores of many rows of hypotheses against the same references. Shapes: N utterances, R rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsr.scoring.alignment import align
from avsr.scoring.normalisers import NORMALISERS
from avsr.scoring.significance import bootstrap_intervals
from avsr.text import WordErrors


@dataclass(frozen=True, kw_only=True)
class Score:
    """Word errors of one row under one normaliser.

    Attributes:
        utterances: of each utterance.
        interval: 95 % interval of the word error rate, fractions.
    """

    utterances: tuple[WordErrors, ...]
    interval: tuple[float, float]

    @property
    def total(self) -> WordErrors:
        """Over all utterances."""
        return WordErrors(
            substitutions=sum(errors.substitutions for errors in self.utterances),
            deletions=sum(errors.deletions for errors in self.utterances),
            insertions=sum(errors.insertions for errors in self.utterances),
            n_words=sum(errors.n_words for errors in self.utterances),
        )

    @property
    def errors(self) -> np.ndarray:
        """[N] errors of each utterance."""
        return np.array([errors.n_errors for errors in self.utterances])

    @property
    def words(self) -> np.ndarray:
        """[N] words of each reference."""
        return np.array([errors.n_words for errors in self.utterances])


def score_rows(
    references: Sequence[str],
    rows: Sequence[Sequence[str]],
    normaliser: str,
    *,
    seed: int = 0,
) -> list[Score]:
    """Score rows of hypotheses.

    Args:
        references: N texts as they were written.
        rows: R rows of N texts as the model gave them.
        normaliser: a key of :data:`~avsr.scoring.normalisers.NORMALISERS`.
        seed: of the bootstrap.

    Returns:
        R scores. A reference that the normaliser empties counts no words; what was heard there
        counts as inserted.
    """
    if not rows:
        return []
    normalise = NORMALISERS[normaliser]
    said = [normalise(text) for text in references]
    counts = [
        tuple(
            alignment.errors for alignment in align(said, [normalise(text) for text in hypotheses])
        )
        for hypotheses in rows
    ]
    errors = np.array([[utterance.n_errors for utterance in row] for row in counts])
    words = np.array([utterance.n_words for utterance in counts[0]])
    intervals = bootstrap_intervals(errors, words, seed=seed)
    return [
        Score(utterances=row, interval=(float(low), float(high)))
        for row, (low, high) in zip(counts, intervals, strict=True)
    ]

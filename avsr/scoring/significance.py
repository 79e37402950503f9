"""How sure a word error rate is, and whether two of them differ.

Utterances are the units that are drawn: words within one are not independent. Everything is seeded,
so the same results give the same numbers. Shapes: N utterances, R rows.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "N_BOOTSTRAP",
    "N_PERMUTATIONS",
    "PairedTest",
    "bootstrap_intervals",
    "paired_test",
]

N_BOOTSTRAP = 2000  # draws for an interval
N_PERMUTATIONS = 10_000  # draws for a p-value: the smallest it can be is 1e-4
_CELLS_AT_ONCE = 4_000_000  # bounds the memory of the draws


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Two systems on the same utterances.

    Attributes:
        difference: word error rate of the second minus that of the first, a fraction.
        interval: of the difference, 95 %, bootstrap.
        p_value: probability of at least such a difference if the systems were alike; two-sided
            permutation test that exchanges the systems' outputs utterance by utterance.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float


def bootstrap_intervals(
    errors: np.ndarray, words: np.ndarray, *, seed: int = 0, n_draws: int = N_BOOTSTRAP
) -> np.ndarray:
    """95 % intervals of word error rates, by drawing utterances with replacement.

    Args:
        errors: [R, N] word errors of each utterance.
        words: [N] words of its reference.
        seed: of the draws, which are the same for all rows.
        n_draws: how many.

    Returns:
        [R, 2] lowest and highest rate, fractions.
    """
    generator = np.random.default_rng(seed)
    n_utterances = len(words)
    rates = []
    for size in _chunks(n_draws, n_utterances):
        weights = _draw(generator, size, n_utterances)
        rates.append((weights @ errors.T) / np.maximum(weights @ words, 1)[:, None])
    return np.percentile(np.concatenate(rates), (2.5, 97.5), axis=0).T


def paired_test(
    first: np.ndarray,
    second: np.ndarray,
    words: np.ndarray,
    *,
    seed: int = 0,
    n_permutations: int = N_PERMUTATIONS,
) -> PairedTest:
    """Compare two systems that recognised the same utterances.

    Args:
        first: [N] word errors of each utterance under the first system.
        second: [N] word errors of each utterance under the second system.
        words: [N] words of its reference.
        seed: of the draws.
        n_permutations: draws of the permutation test.
    """
    gained = np.asarray(second, dtype=np.int64) - np.asarray(first, dtype=np.int64)
    observed = abs(int(gained.sum()))
    generator = np.random.default_rng(seed)
    as_large = 0
    for size in _chunks(n_permutations, len(gained)):
        signs = generator.integers(0, 2, (size, len(gained)), dtype=np.int8) * 2 - 1
        as_large += int((np.abs(signs.astype(np.int64) @ gained) >= observed).sum())
    low, high = bootstrap_intervals(gained[None], words, seed=seed)[0]
    return PairedTest(
        difference=float(gained.sum() / max(1, words.sum())),
        interval=(float(low), float(high)),
        p_value=(as_large + 1) / (n_permutations + 1),
    )


def _draw(generator: np.random.Generator, n_draws: int, n_utterances: int) -> np.ndarray:
    """[n_draws, N] how often each utterance is drawn."""
    return generator.multinomial(n_utterances, np.full(n_utterances, 1 / n_utterances), n_draws)


def _chunks(n_draws: int, n_utterances: int) -> list[int]:
    size = max(1, min(n_draws, _CELLS_AT_ONCE // max(1, n_utterances)))
    whole, rest = divmod(n_draws, size)
    return [size] * whole + [rest] * (rest > 0)

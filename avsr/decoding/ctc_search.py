"""The most probable texts of a CTC head, by prefix beam search.

Source: Hannun, Maas, Jurafsky and Ng, "First-pass large vocabulary continuous speech recognition
using bi-directional recurrent DNNs", arXiv 1408.2873, without a language model.
Shapes: T steps, U units.
"""

import math
from collections import defaultdict

from torch import Tensor

__all__ = ["best_unit_texts"]

_UNITS_A_STEP = 8  # the likeliest ones; others cannot begin a text that survives
_LEAST_LOG_PROB = -7.0  # of a unit that may be added at a step
_BEAMS_A_TEXT = 4  # prefixes kept for each text that is wanted

Prefix = tuple[int, ...]
_NEVER = -math.inf


def best_unit_texts(logits: Tensor, n_texts: int) -> list[list[int]]:
    """Units of the most probable texts, the best first.

    Args:
        logits: [T, U + 1] of one clip, the blank last.
        n_texts: how many; fewer where the head thinks of fewer.
    """
    log_probs = logits.float().log_softmax(dim=-1)
    blank = log_probs.shape[-1] - 1
    n_units = min(_UNITS_A_STEP, blank)
    values, units = log_probs[:, :blank].topk(n_units, dim=-1)
    blanks, steps = log_probs[:, blank].tolist(), zip(values.tolist(), units.tolist(), strict=True)
    beams: dict[Prefix, tuple[float, float]] = {(): (0.0, _NEVER)}  # ends in blank, in a unit
    for at_blank, (scores, names) in zip(blanks, steps, strict=True):
        said = {n: s for n, s in zip(names, scores, strict=True) if s > _LEAST_LOG_PROB}
        grown: defaultdict[Prefix, list[float]] = defaultdict(lambda: [_NEVER, _NEVER])
        for prefix, (in_blank, in_unit) in beams.items():
            total = _add(in_blank, in_unit)
            kept = grown[prefix]
            kept[0] = _add(kept[0], total + at_blank)
            if prefix and prefix[-1] in said:
                kept[1] = _add(kept[1], in_unit + said[prefix[-1]])
            for unit, score in said.items():
                before = in_blank if prefix and unit == prefix[-1] else total
                if before > _NEVER:
                    longer = grown[(*prefix, unit)]
                    longer[1] = _add(longer[1], before + score)
        ranked = sorted(grown.items(), key=lambda item: -_add(*item[1]))
        beams = {prefix: (ends[0], ends[1]) for prefix, ends in ranked[: _BEAMS_A_TEXT * n_texts]}
    return [list(prefix) for prefix in list(beams)[:n_texts]]


def _add(first: float, second: float) -> float:
    """Logarithm of the sum of two probabilities."""
    high, low = (first, second) if first >= second else (second, first)
    return high if low == _NEVER else high + math.log1p(math.exp(low - high))

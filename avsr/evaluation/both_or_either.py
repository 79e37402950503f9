"""Reading sound and lips against the better of reading either, on the same clips."""

from collections.abc import Sequence
from typing import Any

from avsr.evaluation.conditions import Condition
from avsr.route import Stream
from avsr.scoring.scores import Score
from avsr.scoring.significance import paired_test

_STREAMS: tuple[Stream, ...] = ("audio", "video")


def against_better(
    conditions: Sequence[Condition], scores: Sequence[Score], *, seed: int = 0
) -> list[dict[str, Any] | None]:
    """Compare each row of both with the better of the two rows that read one of its streams.

    Args:
        conditions: R rows.
        scores: of each row.
        seed: of the draws.

    Returns:
        For each row of both whose streams were read alone too, at the same rates and in the same
        sound: ``stream`` (of the better row), ``difference`` (its word error rate taken from that
        of both, a fraction: below 0 both is better), ``interval`` (95 %, paired bootstrap of the
        clips, the better stream being that of all clips) and ``p_value``. None for other rows.
    """
    by_condition = dict(zip(conditions, scores, strict=True))
    return [_against_better(by_condition, condition, seed) for condition in conditions]


def _against_better(
    scores: dict[Condition, Score], condition: Condition, seed: int
) -> dict[str, Any] | None:
    if condition.route.modality != "av":
        return None
    alone = {stream: scores.get(condition.by(stream)) for stream in _STREAMS}
    found = {stream: score for stream, score in alone.items() if score is not None}
    if len(found) < len(_STREAMS):
        return None
    better = min(found, key=lambda stream: found[stream].total.n_errors)
    both = scores[condition]
    test = paired_test(found[better].errors, both.errors, both.words, seed=seed)
    return {
        "stream": better,
        "difference": round(test.difference, 6),
        "interval": [round(limit, 6) for limit in test.interval],
        "p_value": round(test.p_value, 6),
    }

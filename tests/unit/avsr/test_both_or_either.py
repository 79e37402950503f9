"""Evaluation's comparison of both streams with the better one."""

import pytest

from avsr.evaluation.both_or_either import against_better
from avsr.evaluation.conditions import Condition
from avsr.route import Route
from avsr.scoring.scores import score_rows
from avsr.scoring.tables import results_table

SAID = ["bin blue", "set red", "lay white", "place green"]
ROUTES = [Route.parse(text) for text in ("A4", "V2", "A4 V2", "A16 V2")]


def rows(*texts: list[str], noise: str | None = None) -> tuple[list[Condition], list]:
    """Conditions of :data:`ROUTES` in one sound, and scores of their texts."""
    conditions = [Condition(route=route, noise=noise) for route in ROUTES[: len(texts)]]
    return conditions, score_rows(SAID, texts, "lrs3")


def test_both_is_compared_with_the_stream_that_makes_fewer_errors() -> None:
    by_sound = ["bin red", *SAID[1:]]  # one error
    by_lips = ["bin red", "set blue", "lay green", "place green"]  # three
    both = ["bin red", "set blue", *SAID[2:]]  # two
    *alone, compared = against_better(*rows(by_sound, by_lips, both))
    assert alone == [None, None]
    assert compared is not None
    assert (compared["stream"], compared["difference"]) == ("audio", pytest.approx(1 / 8))
    low, high = compared["interval"]
    assert 0 <= low <= 1 / 8 <= high <= 0.5
    assert 0 < compared["p_value"] <= 1
    *_, compared = against_better(*rows(by_lips, by_sound, by_lips))
    assert compared is not None
    assert (compared["stream"], compared["difference"]) == ("video", pytest.approx(2 / 8))


def test_rows_without_both_streams_alone_are_not_compared() -> None:
    conditions, scores = rows(SAID, SAID, SAID, SAID)
    assert against_better(conditions, scores)[3] is None  # A16 was not read alone
    assert against_better(conditions[:3], scores[:3])[2] is not None
    assert against_better(conditions[1:3], scores[1:3]) == [None, None]
    noisy, _ = rows(SAID, SAID, SAID, noise="babble")
    assert against_better([*conditions[:2], noisy[2]], scores[:3])[2] is None  # in other sound


def test_table_shows_the_comparison_where_there_is_one() -> None:
    row = {
        "modality": "av", "audio_rate": 4, "video_rate": 2, "tokens_per_second": 25.0,
        "noise": None, "snr_db": None, "snr_db_achieved": None, "wer": 0.5,
        "wer_interval": [0.4, 0.6], "whisper": {"wer": 0.5}, "substitutions": 1, "deletions": 0,
        "insertions": 0, "n_words": 2, "n_utterances": 1,
    }  # fmt: skip
    plain = results_table([row])
    assert "both - better" not in plain.header
    compared = {"stream": "video", "difference": -0.021, "interval": [-0.05, 0.01], "p_value": 0.2}
    table = results_table([row, {**row, "against_better": compared}])
    assert table.header[-2:] == ("both - better", "95 % of it")
    assert table.rows[0][-2:] == ("-", "-")
    assert table.rows[1][-2:] == ("-2.10 (video)", "-5.0 to +1.0")

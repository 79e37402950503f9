"""Normalisers, alignments, intervals and paired tests."""

import numpy as np
import pytest

from avsr.scoring.alignment import align
from avsr.scoring.normalisers import describe_normalisers, normalise_as_whisper
from avsr.scoring.scores import score_rows
from avsr.scoring.significance import bootstrap_intervals, paired_test
from avsr.scoring.tables import Table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't COLOUR it, Mr. Smith", "do not color it mister smith"),
        ("twenty five people", "25 people"),
        ("um, the theatre", "the theater"),
        ("uh", ""),
    ],
)
def test_whisper_normaliser_has_its_spellings_and_numbers(text: str, expected: str) -> None:
    assert normalise_as_whisper(text) == expected
    assert "whisper-normalizer" in describe_normalisers()["whisper"]


def test_alignment_shows_each_error_in_its_place() -> None:
    right, mixed, missed, invented = align(
        ["bin blue", "set red by f now at", "lay", ""],
        ["bin blue", "set bed f now right at", "", "please"],
    )
    assert str(right) == "bin blue"
    assert str(mixed) == "set {red>bed} {by>} f now {>right} at"
    assert (str(missed), str(invented)) == ("{lay>}", "{>please}")
    errors = mixed.errors
    assert (errors.substitutions, errors.deletions, errors.insertions) == (1, 1, 1)
    assert (errors.n_words, right.errors.n_errors, invented.errors.n_words) == (6, 0, 0)


def test_two_normalisers_count_differently() -> None:
    references = ["I can't see the colour", "um two", "hmm"]
    hypotheses = ["i cannot see the color", "2", "yes"]
    (lrs3,) = score_rows(references, [hypotheses], "lrs3")
    (whisper,) = score_rows(references, [hypotheses], "whisper")
    assert (lrs3.total.n_errors, lrs3.total.n_words) == (5, 8)
    assert whisper.total.n_words == 7  # "i can not see the color", "2", nothing
    assert [errors.n_errors for errors in whisper.utterances] == [2, 0, 1]


def test_interval_covers_the_rate_and_narrows_with_more_clips() -> None:
    generator = np.random.default_rng(5)
    widths = []
    for n_clips in (50, 800):
        errors = generator.binomial(6, 0.1, (1, n_clips))
        words = np.full(n_clips, 6)
        low, high = bootstrap_intervals(errors, words)[0]
        assert low < errors.sum() / words.sum() < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    # Independent words: the width is that of a binomial share, 2 * 1.96 * sqrt(p (1 - p) / n).
    assert widths[1] == pytest.approx(2 * 1.96 * np.sqrt(0.1 * 0.9 / 4800), rel=0.2)


def test_same_seed_same_interval() -> None:
    errors, words = np.arange(30)[None] % 3, np.full(30, 6)
    np.testing.assert_array_equal(
        bootstrap_intervals(errors, words, seed=1), bootstrap_intervals(errors, words, seed=1)
    )
    assert (bootstrap_intervals(errors, words, seed=2) != bootstrap_intervals(errors, words)).any()


def test_paired_test_sees_a_difference_and_only_that() -> None:
    generator = np.random.default_rng(0)
    first = generator.binomial(6, 0.2, 300)
    words = np.full(300, 6)
    better = np.maximum(first - generator.binomial(1, 0.3, 300), 0)
    found = paired_test(first, better, words)
    assert found.p_value < 0.001
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.difference == pytest.approx((better.sum() - first.sum()) / 1800)
    assert paired_test(first, first, words).p_value == 1.0
    # Five clips that all get better by one error: of 2^5 exchanges two are as extreme.
    small = paired_test(np.ones(5, int), np.zeros(5, int), np.full(5, 6))
    assert small.p_value == pytest.approx(2 / 32, abs=0.01)


def test_p_values_are_uniform_where_systems_are_alike() -> None:
    generator = np.random.default_rng(1)
    values = []
    for _ in range(200):
        first, second = generator.binomial(6, 0.3, (2, 60))
        test = paired_test(first, second, np.full(60, 6), n_permutations=400)
        values.append(test.p_value)
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.06)


def test_table_styles() -> None:
    table = Table(header=("row", "WER %"), rows=(("a_1", "2.00"), ("b", "10.00")),
                  bold=frozenset({(0, 1)}))  # fmt: skip
    assert table.render("text") == "row  WER %\na_1   2.00\nb    10.00\n"
    assert table.render("markdown").splitlines() == [
        "| row | WER % |", "| --- | ---: |", "| a_1 | **2.00** |", "| b | 10.00 |",
    ]  # fmt: skip
    assert table.render("csv") == "row,WER %\na_1,2.00\nb,10.00\n"
    assert r"a\_1 & \textbf{2.00} \\" in table.render("latex")
    assert r"WER \%" in table.render("latex")

"""Normalisation and corpus word error counts."""

import pytest

from avsr.text import count_word_errors, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bin  BLUE at\tF two, now!", "bin blue at f two now"),
        ("It\u2019s the dogs' day \u2018now\u2019", "it's the dogs day now"),
        ("rock 'n' roll", "rock n roll"),
        ("a set-up \u2014 50%", "a set up 50"),
        ("CAFÉ cafe\u0301", "café café"),
        ("...", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected
    assert normalise(normalise(text)) == expected


def test_counts_errors_over_the_corpus_not_per_utterance() -> None:
    errors = count_word_errors(
        ["a b c d e f g h", "one two"],
        ["a b c d e f g h", "one too many"],
    )
    assert (errors.substitutions, errors.deletions, errors.insertions) == (1, 0, 1)
    assert errors.n_words == 10
    assert errors.wer == pytest.approx(0.2)  # the mean of both utterances would be 0.5


def test_empty_hypothesis_counts_as_deletions() -> None:
    errors = count_word_errors(["one two three"], [""])
    assert (errors.deletions, errors.n_errors, errors.wer) == (3, 3, 1.0)


@pytest.mark.parametrize(("references", "hypotheses"), [([], []), (["a"], []), ([" "], ["a"])])
def test_rejects_what_has_no_word_error_rate(references: list[str], hypotheses: list[str]) -> None:
    with pytest.raises(ValueError, match="reference"):
        count_word_errors(references, hypotheses)

"""Alignment of what was read with what was said."""

import pytest

from avsr_demo.differences import align, word_errors


def _told(reference: str, words: list[str]) -> list[tuple[str, str | None, int | None]]:
    return [(step.kind, step.said, step.index) for step in align(reference, words)]


def test_each_kind_of_step() -> None:
    assert _told("Set blue with T", ["set", "blew", "with", "t"]) == [
        ("right", "set", 0),
        ("wrong", "blue", 1),
        ("right", "with", 2),
        ("right", "t", 3),
    ]
    assert _told("set blue now", ["set", "now"])[1] == ("missed", "blue", None)
    assert _told("set now", ["set", "blue", "now"])[1] == ("added", None, 1)


def test_nothing_read_misses_every_word() -> None:
    assert _told("set blue", []) == [("missed", "set", None), ("missed", "blue", None)]


@pytest.mark.parametrize("words", [["well-known", "it's"], ["--", "..."], ["a", "b", "a"]])
def test_every_word_read_occurs_once(words: list[str]) -> None:
    indices = [step.index for step in align("well known it's a", words) if step.index is not None]

    assert indices == list(range(len(words)))


def test_word_errors_need_a_reference() -> None:
    assert word_errors(" ?! ", "set blue") is None
    errors = word_errors("Set blue!", "set red now")
    assert errors is not None
    assert (errors.n_errors, errors.n_words) == (2, 2)

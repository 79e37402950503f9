"""Local agreement: which words of a growing recording stand."""

from avsr.live.agreement import LocalAgreement, tail_after
from avsr.live.pace import LEVELS, Pace
from avsr.transcription import Word


def _words(text: str, step_s: float = 0.3, probability: float = 0.99) -> list[Word]:
    return [
        Word(word=word, start=step_s * i, end=step_s * (i + 1), probability=probability)
        for i, word in enumerate(text.split())
    ]


def _texts(words: list[Word]) -> str:
    return " ".join(word.word for word in words)


def test_a_word_stands_when_two_readings_agree_and_it_is_over() -> None:
    words = LocalAgreement()
    assert words.add(_words("bin blue at"), 2.0) == []
    assert _texts(words.add(_words("bin blue in f"), 2.0)) == "bin blue"
    assert _texts(words.guess) == "in f"
    assert words.add(_words("bin blue in f"), 1.3) == []  # "in" may be half a word
    assert _texts(words.finish(_words("bin blue in f two"))) == "in f two"
    assert _texts(words.committed) == "bin blue in f two"


def test_an_unsure_word_waits_for_the_end() -> None:
    words = LocalAgreement()
    unsure = _words("bin blue", probability=0.3)
    words.add(unsure, 5.0)
    assert words.add(unsure, 5.0) == []
    assert _texts(words.finish(unsure)) == "bin blue"


def test_committed_words_stand_whatever_is_read_later() -> None:
    words = LocalAgreement()
    words.add(_words("set red by"), 5.0)
    words.add(_words("set red by"), 5.0)
    assert _texts(words.finish(_words("sat head by q four"))) == "q four"
    assert _texts(words.committed) == "set red by q four"


def test_the_tail_is_behind_the_nearest_beginning() -> None:
    assert _texts(tail_after(_words("a b c"), _words("a c d e"))) == "d e"
    assert _texts(tail_after(_words("a b c"), _words("a b x c d"))) == "d"
    assert tail_after(_words("a b c"), _words("a b")) == []
    assert _texts(tail_after([], _words("a b"))) == "a b"


def test_slow_readings_become_coarse_and_quick_ones_fine_again() -> None:
    pace = Pace()
    pace.has_read(1.0, 1.0)
    assert not pace.is_due(2.0)
    assert pace.is_due(2.4)
    assert pace.adjust(2.4, 1.0)
    assert not pace.guesses_finely
    pace.has_read(3.0, 0.1)
    assert not pace.adjust(4.0, 0.1)
    assert pace.adjust(10.0, 0.1)
    assert pace.guesses_finely


def test_coarse_guesses_that_are_no_quicker_are_given_up() -> None:
    for coarse_s, is_worth_it in ((0.5, True), (0.95, False)):
        pace = Pace()
        pace.has_guessed(2.0, 1.0)
        pace.has_read(1.0, 1.0)
        assert pace.adjust(2.4, 1.0)
        for _ in range(3):
            assert not pace.guesses_finely
            pace.has_guessed(2.0, coarse_s)
        assert pace.guesses_finely != is_worth_it
        assert pace.commits_finely
        assert pace.searches
        assert pace.adjust(4.4, 4.0)  # input waits: coarse rates, which no search mends
        assert not pace.searches


def test_what_waits_is_worked_off_by_doing_less_as_far_as_it_makes_sense() -> None:
    pace = Pace(lowest=3)
    for second in range(10):
        pace.adjust(float(second), 5.0)
    assert pace.skips_pictures
    assert not pace.is_blind
    pace = Pace()
    for second in range(len(LEVELS)):
        pace.adjust(float(second), 5.0)
    assert pace.is_blind

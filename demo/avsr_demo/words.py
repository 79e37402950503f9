"""Words as HTML: how sure the model is of each, and where they differ from what was said."""

from html import escape
from typing import Literal

from avsr import TranscriptionResult, Word
from avsr_demo.differences import Step, align

Sureness = Literal["sure", "fair", "doubtful"]
SURE, FAIR = 0.9, 0.6  # least probability of a word that counts as sure, as fair


def sureness(probability: float) -> Sureness:
    """In words, how far a probability can be trusted."""
    if probability >= SURE:
        return "sure"
    return "fair" if probability >= FAIR else "doubtful"


def words_of(result: TranscriptionResult) -> list[tuple[Word, bool]]:
    """The words of a reading, and whether their times are known.

    Segments without word times give words that share the segment's time and confidence.
    """
    words: list[tuple[Word, bool]] = []
    for segment in result.segments:
        words += [(word, True) for word in segment.words]
        if not segment.words:
            words += [
                (
                    Word(
                        word=text,
                        start=segment.start,
                        end=segment.end,
                        probability=segment.confidence,
                    ),
                    False,
                )
                for text in segment.text.split()
            ]
    return words


def words_html(result: TranscriptionResult, reference: str, label: str) -> str:
    """The words as buttons that take the film to their moment.

    How sure the model is shows in colour, in the kind of underline, in a number, and in what
    screen readers speak. Where the reference has words, what differs is struck or added.

    Args:
        result: the reading.
        reference: what was said; may be empty.
        label: what screen readers call the group.
    """
    words = words_of(result)
    steps = [Step(kind="right", said=None, index=index) for index in range(len(words))]
    if reference:
        steps = align(reference, [word.word for word, _ in words])
    first = next((step.index for step in steps if step.index is not None), None)
    items = [_step_html(step, words, focusable=step.index == first) for step in steps]
    return f'<div class="words" role="group" aria-label="{escape(label)}">{" ".join(items)}</div>'


def _step_html(step: Step, words: list[tuple[Word, bool]], *, focusable: bool) -> str:
    if step.index is None:
        return f'<span class="pair missed">{_said(step.said, "missed: ")}</span>'
    button = _word_html(*words[step.index], step.kind, focusable=focusable)
    if step.kind == "wrong":
        return f'<span class="pair">{button}{_said(step.said, "instead of: ")}</span>'
    return button


def _said(word: str | None, spoken: str) -> str:
    return f'<ins><span class="spoken-only">{spoken}</span>{escape(word or "")}</ins>'


def _word_html(word: Word, timed: bool, kind: str, *, focusable: bool) -> str:
    level = sureness(word.probability)
    percent = f"{word.probability:.0%}"
    number = "" if level == "sure" else f'<sup aria-hidden="true">{percent}</sup>'
    wrong = kind in ("wrong", "added")
    text = escape(word.word)
    text = f'<del><span class="spoken-only">wrong: </span>{text}</del>' if wrong else text
    times = f'data-start="{word.start:.3f}" data-end="{word.end:.3f}"' if timed else ""
    when = f", {word.start:.2f} to {word.end:.2f} s" if timed else ""
    return (
        f'<button type="button" class="word {level}" {times} tabindex="{0 if focusable else -1}" '
        f'title="{percent} sure{when}">{text}{number}'
        f'<span class="spoken-only">, {level}, {percent}</span></button>'
    )

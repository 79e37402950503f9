"""Words as HTML: how sure the model is of each, and where they differ from what was said."""

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Literal

from avsr import Segment, TranscriptionResult, Word
from avsr_demo.differences import Step, align

Sureness = Literal["sure", "fair", "doubtful"]
SURE, FAIR = 0.9, 0.6  # least probability of a word that counts as sure, as fair
PAUSE_S = 0.6  # seconds between two words that begin a new line


def sureness(probability: float) -> Sureness:
    """In words, how far a probability can be trusted."""
    if probability >= SURE:
        return "sure"
    return "fair" if probability >= FAIR else "doubtful"


def words_of(segment: Segment) -> list[tuple[Word, bool]]:
    """The words of a segment, and whether their times are known.

    One without word times gives words that share its time and confidence.
    """
    if segment.words:
        return [(word, True) for word in segment.words]
    start, end, probability = segment.start, segment.end, segment.confidence
    return [
        (Word(word=text, start=start, end=end, probability=probability), False)
        for text in segment.text.split()
    ]


def words_html(result: TranscriptionResult, reference: str, label: str) -> str:
    """The words as buttons that take the film to their moment, a line for each stretch of speech.

    How sure the model is shows in colour, in the kind of underline, in a number, and in what
    screen readers speak. Where the reference has words, what differs is struck or added. A line
    ends with its segment and at a pause; where there are several, each tells when it begins.

    Args:
        result: the reading.
        reference: what was said; may be empty.
        label: what screen readers call the group.
    """
    words = [(word, timed) for segment in result.segments for word, timed in words_of(segment)]
    steps = [Step(kind="right", said=None, index=index) for index in range(len(words))]
    if reference:
        steps = align(reference, [word.word for word, _ in words])
    first = next((step.index for step in steps if step.index is not None), None)
    lines = _lines(result)
    shown: list[list[str]] = [[] for _ in lines] or [[]]
    place = 0
    for step in steps:  # a word that was missed stands behind the one before it
        if step.index is not None:
            place = next(n for n, line in enumerate(lines) if step.index in line.indices)
        shown[place].append(_step_html(step, words, focusable=step.index == first))
    several = len(lines) > 1
    html = [
        _line_html(line, items, timed=several) for line, items in zip(lines, shown, strict=False)
    ]
    if not lines:
        html = [f'<p class="said">{" ".join(shown[0])}</p>']
    return f'<div class="words" role="group" aria-label="{escape(label)}">{"".join(html)}</div>'


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A stretch of speech: which words, when it begins, and what carried the segment it ends."""

    indices: range
    start_s: float
    sound_share: float | None


def _lines(result: TranscriptionResult) -> list[_Line]:
    lines: list[_Line] = []
    n_before = 0
    for segment in result.segments:
        words = words_of(segment)
        if not words:
            continue
        breaks = [
            index
            for index in range(1, len(words))
            if words[index][0].start - words[index - 1][0].end >= PAUSE_S
        ]
        bounds = [0, *breaks, len(words)]
        lines += [
            _Line(
                indices=range(n_before + begin, n_before + end),
                start_s=words[begin][0].start,
                sound_share=segment.sound_share if end == len(words) else None,
            )
            for begin, end in pairwise(bounds)
        ]
        n_before += len(words)
    return lines


def _line_html(line: _Line, items: list[str], *, timed: bool) -> str:
    when = f'<span class="when">{clock(line.start_s)}</span>' if timed else ""
    share = "" if line.sound_share is None else _share_html(line.sound_share)
    return f'<p class="said">{when}{" ".join(items)}</p>{share}'


def _share_html(sound_share: float) -> str:
    """A bar of two colours, and the same in words: how far sound and lips carried a segment."""
    sound = round(100 * sound_share)
    return (
        '<p class="share"><span class="bar" aria-hidden="true">'
        f'<i style="width:{sound}%"></i></span>'
        f"<small>carried by sound {sound}%, lips {100 - sound}%</small></p>"
    )


def clock(seconds: float) -> str:
    """A time as minutes and seconds: 1:02.5."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


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

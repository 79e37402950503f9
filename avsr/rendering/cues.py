"""Cutting a transcription into subtitles: what is shown when, in lines that can be read.

Lines of 42 characters, two at a time, and seven seconds at most are what subtitle guidelines ask
for. A cue lasts from its first word to its last; one that is too short to be read goes on into the
pause that follows.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from avsr.transcription import Segment, TranscriptionResult, Word

_LONGEST_S = 7.0  # that words of one cue may take
_PAUSE_S = 0.6  # without words, after which another cue begins
_READABLE_S = 1.0  # that a cue stays where there is room
_SHORTEST_S = 0.1  # where there is none


@dataclass(frozen=True, kw_only=True)
class SubtitleStyle:
    """How subtitles look.

    Attributes:
        max_line_width: characters of a line; a longer word has a line of its own.
        max_line_count: lines of a cue, a label included.
        highlight_words: a cue for each word, which it underlines.
        labels: say in every cue whose face it is; else only where two people talk at once.
    """

    max_line_width: int = 42
    max_line_count: int = 2
    highlight_words: bool = False
    labels: bool = False

    def __post_init__(self) -> None:
        if self.max_line_width < 1 or self.max_line_count < 1:
            raise ValueError(
                f"a cue has lines and they have characters, got {self.max_line_count} lines of "
                f"{self.max_line_width}"
            )

    def lines(self, words: Sequence[str], label: str = "") -> list[list[str]]:
        """Words as lines of words; a label takes its room at the beginning of the first."""
        lines: list[list[str]] = []
        width = len(label)
        for word in words:
            if lines and width + 1 + len(word) <= self.max_line_width:
                lines[-1].append(word)
                width += 1 + len(word)
            elif not lines and label and width + len(word) <= self.max_line_width:
                lines.append([word])
                width += len(word)
            else:
                lines.append([word])
                width = len(word)
        return lines


@dataclass(frozen=True, kw_only=True)
class Cue:
    """What one subtitle shows, and when.

    Attributes:
        start: seconds.
        end: seconds, after ``start``.
        words: with their times.
        face: number of the person who says it, where that is to be shown.
    """

    start: float
    end: float
    words: tuple[Word, ...]
    face: int | None = None

    @property
    def label(self) -> str:
        """Who speaks, as players without voices show it; empty where it is not shown."""
        return _label(self.face)


def cut_cues(result: TranscriptionResult, style: SubtitleStyle) -> list[Cue]:
    """Cut all segments into cues, in the order of their starts.

    Those of one person follow on each other; those of several may overlap, and then say who talks.
    """
    segments = [segment for segment in result.segments if segment.text.strip()]
    at_once = _at_once([(*segment.span, segment.face) for segment in segments])
    people: dict[int | None, list[Cue]] = {}
    for segment, is_shared in zip(segments, at_once, strict=True):
        face = segment.face if is_shared or style.labels else None
        cues = people.setdefault(segment.face, [])
        for words in _cut(_timed_words(segment), style, _label(face)):
            cues.append(Cue(start=words[0].start, end=words[-1].end, words=words, face=face))
    spoken = [(cue, person) for person, cues in people.items() for cue in _in_turn(cues)]
    spoken.sort(key=lambda one: (one[0].start, one[0].end))
    at_once = _at_once([(cue.start, cue.end, person) for cue, person in spoken])
    cues = [
        cue if is_shared or style.labels else replace(cue, face=None)
        for (cue, _), is_shared in zip(spoken, at_once, strict=True)
    ]
    return _readable(cues)


def _label(face: int | None) -> str:
    return "" if face is None else f"face {face}: "


def _at_once(spans: Sequence[tuple[float, float, int | None]]) -> list[bool]:
    """For spans with the person of each: whether somebody else talks meanwhile."""
    is_shared = [False] * len(spans)
    active: list[int] = []
    for index in sorted(range(len(spans)), key=lambda index: spans[index][0]):
        start, _, person = spans[index]
        active = [other for other in active if spans[other][1] > start]
        for other in active:
            if spans[other][2] != person:
                is_shared[index] = is_shared[other] = True
        active.append(index)
    return is_shared


def _cut(words: Sequence[Word], style: SubtitleStyle, label: str) -> Iterator[tuple[Word, ...]]:
    """Groups of words that fit into a cue each, behind a label."""
    group: list[Word] = []
    for word in words:
        if group and (
            word.start - group[-1].end >= _PAUSE_S
            or word.end - group[0].start > _LONGEST_S
            or len(style.lines([one.word for one in (*group, word)], label)) > style.max_line_count
        ):
            yield tuple(group)
            group = []
        group.append(word)
    if group:
        yield tuple(group)


def _timed_words(segment: Segment) -> tuple[Word, ...]:
    """The words of a segment; where their times are not known, spread by their letters."""
    if segment.words:
        return segment.words
    texts = segment.text.split()
    a_letter_s = (segment.end - segment.start) / max(1, sum(len(text) + 1 for text in texts))
    words, start = [], segment.start
    for text in texts:
        end = start + a_letter_s * (len(text) + 1)
        words.append(Word(word=text, start=start, end=end, probability=segment.confidence))
        start = end
    return tuple(words)


def _in_turn(cues: Sequence[Cue]) -> list[Cue]:
    """The cues of one person, each after the one before, none without length."""
    ordered: list[Cue] = []
    for cue in sorted(cues, key=lambda cue: cue.start):
        start = max(cue.start, ordered[-1].end) if ordered else cue.start
        ordered.append(replace(cue, start=start, end=max(cue.end, start + _SHORTEST_S)))
    return ordered


def _readable(cues: Sequence[Cue]) -> list[Cue]:
    """Cues in order, short ones prolonged until the next one of anybody begins."""
    starts = [cue.start for cue in cues]
    readable = []
    for cue in cues:
        after = bisect_left(starts, cue.end)
        room = starts[after] if after < len(starts) else math.inf
        end = min(cue.start + _READABLE_S, room)
        readable.append(replace(cue, end=max(cue.end, end)))
    return readable

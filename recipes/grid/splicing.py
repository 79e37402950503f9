"""Timed clips: where to cut, join, shift and stretch so that sound, picture and labels agree.

A *plan* says for every moment of a new clip which source clip and moment it comes from. Sound
and picture are then cut by the same plan.
"""

from dataclasses import dataclass

import numpy as np
from corpus import Corpus

SNAP = 25  # joints lie on video frames, so that both streams can be cut there


@dataclass(frozen=True)
class Piece:
    """Seconds ``start`` to ``end`` of clip ``index``."""

    index: int
    start: float
    end: float


@dataclass(frozen=True)
class Plan:
    """Pieces in order; the words of the joined clip with their new times in seconds."""

    pieces: tuple[Piece, ...]
    words: list[tuple[str, float, float]]

    @property
    def text(self) -> str:
        return " ".join(word for word, _, _ in self.words)


def whole_clip(corpus: Corpus, index: int) -> Plan:
    """The clip as it is."""
    words = [(word, start, end) for word, start, end in corpus.lines[index]["words"]]
    return Plan((Piece(index, 0.0, 3.0),), words)


def spliced_clip(corpus: Corpus, first: int, second: int, generator: np.random.Generator) -> Plan:
    """Begin with clip ``first`` and go on with ``second`` from some word boundary on."""
    slot = int(generator.integers(1, 6))
    head, tail = corpus.lines[first]["words"], corpus.lines[second]["words"]
    if len(head) != 6 or len(tail) != 6:
        return whole_clip(corpus, first)
    leave = round(head[slot][1] * SNAP) / SNAP
    enter = round(tail[slot][1] * SNAP) / SNAP
    words = [(word, start, end) for word, start, end in head[:slot]]
    words += [
        (word, start - enter + leave, end - enter + leave) for word, start, end in tail[slot:]
    ]
    return Plan((Piece(first, 0.0, leave), Piece(second, enter, 3.0)), words)


def place_words(
    words: list[tuple[str, float, float]], offset_s: float, speed: float
) -> list[tuple[str, float, float]]:
    """Word times after the clip was sped up by ``speed`` and begun at ``offset_s``."""
    return [
        (word, max(0.0, start / speed + offset_s), max(0.0, end / speed + offset_s))
        for word, start, end in words
    ]


def choose_window(
    words: list[tuple[str, float, float]],
    speed: float,
    length_s: float,
    generator: np.random.Generator,
) -> float:
    """Choose where the clip begins (s, often negative) so that its words fit ``length_s``."""
    start, end = words[0][1] / speed, words[-1][2] / speed
    earliest, latest = 0.08 - start, length_s - 0.12 - end
    return float(generator.uniform(earliest, latest)) if latest > earliest else latest

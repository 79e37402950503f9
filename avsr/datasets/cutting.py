"""Cutting long clips at word boundaries, on the grid of the video's frames."""

import math
from collections.abc import Iterator
from dataclasses import replace

from avsr.datasets.dataset import SourceClip, TimedWord
from avsr_frontends.rates import VIDEO_FPS

LONGEST_S = 16.0  # seconds; the longest clips that the published models were trained on


def cut_clip(clip: SourceClip, longest_s: float) -> list[SourceClip]:
    """Cut a clip into pieces of at most ``longest_s`` seconds, each of whole words.

    The first piece begins where the clip does, each other one with its first word; all end with
    their last word. Frame numbers are seconds times 25, rounded outwards, and the sound goes with
    them (640 samples a frame). A word longer than a piece may be stands alone.

    Args:
        clip: with word times; a clip without, or one that is not meant to be cut, stays whole.
        longest_s: at least one frame.

    Returns:
        Pieces with the ids ``ID_00``, ``ID_01`` ..., or the clip itself.
    """
    if not clip.is_long or not clip.words:
        return [clip]
    return [
        _piece(clip, number, first, last, words)
        for number, (first, last, words) in enumerate(_groups(clip.words, longest_s))
    ]


def _groups(
    words: tuple[TimedWord, ...], longest_s: float
) -> Iterator[tuple[int, int, list[TimedWord]]]:
    """First frame, frame after the last one, and words of each piece."""
    longest = int(_frames(longest_s))
    group: list[TimedWord] = []
    first = last = 0
    for word in words:
        begin, end = math.floor(_frames(word.start)), math.ceil(_frames(word.end))
        if max(end, last) - first > longest:
            if group:
                yield first, last, group
            group, first, last = [], begin, begin
        group.append(word)
        last = max(last, end, first + 1)
    yield first, last, group


def _frames(seconds: float) -> float:
    return round(seconds * VIDEO_FPS, 6)  # 0.28 s is frame 7, not 7.000000000000001


def _piece(
    clip: SourceClip, number: int, first: int, last: int, words: list[TimedWord]
) -> SourceClip:
    start = first / VIDEO_FPS
    return replace(
        clip,
        utterance=replace(
            clip.utterance,
            id=f"{clip.utterance.id}_{number:02d}",
            text=" ".join(word.text for word in words),
            start=start,
            end=last / VIDEO_FPS,
        ),
        words=tuple(
            replace(word, start=round(word.start - start, 6), end=round(word.end - start, 6))
            for word in words
        ),
    )

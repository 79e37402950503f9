"""Where what is seen changes within speech: the picture begins or ends, or shows somebody else.

Lips that belong to the words only in part mislead a model more than no lips. So pieces are cut at
such borders where there is a pause beside them; where there is none, the sentence around the border
is read by the sound alone (in which nothing changes), and the rest by both.

Spans are of video frames, 25 per second.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from avsr.clips.clip import Clip
from avsr.recognition.segmentation import Span
from avsr.recognition.speech_evidence import VOICE_ON
from avsr.route import Modality
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

_TOLERATED_S = 0.5  # streams that differ by less than this end together
_NEAR = 6  # frames: a border so close to an end of a piece, or to a pause, does no harm
_QUIET = 0.25  # probability of a voice below which there may be a pause
_PAUSE = 6  # frames, 0.24 s: shorter ones may be a stop consonant
_SHORTEST = 3  # frames of a piece
_LONGEST_SCRAP = 25  # frames without a voice that are no piece of their own


def borders_of(clip: Clip) -> tuple[int, ...]:
    """Frames at which what is seen, or whether anything is heard, changes."""
    end = _early_end(clip)
    return tuple(sorted({*clip.borders, *([] if end is None else [end])}))


def cut_at_borders(
    spans: Sequence[Span], clip: Clip, voice: np.ndarray | None, modality: Modality
) -> list[Span]:
    """Cut pieces at borders: where a pause is near, else at the pauses around.

    Args:
        spans: pieces of a clip.
        clip: the clip.
        voice: [T] probability of a voice; None where that is not known.
        modality: what is read; sound alone has no borders.

    Returns:
        The pieces, in order; only those that must be read by the sound alone hold a border.
    """
    borders = borders_of(clip)
    if modality == "audio" or not borders:
        return list(spans)
    voice = voice if modality == "av" else None
    heard = 0 if clip.audio is None else math.floor(len(clip.audio) / SAMPLE_RATE * VIDEO_FPS)
    pieces: list[Span] = []
    for span in spans:
        edges = {*span}
        for border in borders:
            if span[0] < border < span[1]:
                in_sound = voice is not None and border < heard - _NEAR
                edges |= _edges(span, border, voice) if in_sound and voice is not None else {border}
        parts = [part for part in pairwise(sorted(edges)) if part[1] - part[0] >= _SHORTEST]
        pieces += [part for part in parts if not _is_scrap(part, voice)] or parts
    return pieces


def holds_border(span: Span, clip: Clip) -> bool:
    """Whether what is seen changes well inside a piece."""
    return any(span[0] + _NEAR < border < span[1] - _NEAR for border in borders_of(clip))


def _is_scrap(part: Span, voice: np.ndarray | None) -> bool:
    """Whether nothing but a bit of the pause was cut off."""
    first, last = part
    if voice is None or last - first > _LONGEST_SCRAP or last > len(voice):
        return False
    return bool(voice[first:last].max() < VOICE_ON)


def _edges(span: Span, border: int, voice: np.ndarray) -> set[int]:
    """Where a piece is cut because of a border in it; only where there is a pause."""
    first, last = span
    pauses = _pauses(voice[first:last], first)
    for begin, end in pauses:
        if begin - _NEAR <= border <= end + _NEAR:
            return {min(max(border, begin), end)}
    before = [(begin + end) // 2 for begin, end in pauses if begin > first and end <= border]
    after = [(begin + end) // 2 for begin, end in pauses if end < last and begin >= border]
    return {*before[-1:], *after[:1]}


def _pauses(voice: np.ndarray, first: int) -> list[Span]:
    """Runs of frames without a voice; those at the ends may be short."""
    quiet = np.concatenate([[False], voice < _QUIET, [False]])
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8))).reshape(-1, 2)
    return [
        (int(begin) + first, int(end) + first)
        for begin, end in edges
        if end - begin >= _PAUSE or begin == 0 or end == len(voice)
    ]


def _early_end(clip: Clip) -> int | None:
    """The frame where the shorter of two streams ends, if that is well before the other's end."""
    if clip.audio is None or clip.mouth is None:
        return None
    ends = sorted((len(clip.audio) / SAMPLE_RATE, len(clip.mouth) / VIDEO_FPS))
    cut = math.floor(ends[0] * VIDEO_FPS)
    return cut if cut > 0 and ends[1] - ends[0] > _TOLERATED_S else None

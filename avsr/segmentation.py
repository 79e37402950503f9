"""Cutting a long clip into pieces that a model can take, at quiet moments."""

import math
from itertools import pairwise

import numpy as np

from avsr.clip import Clip
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

_WINDOW_S = 0.2  # length over which loudness is measured: about one syllable
_TOLERATED_S = 0.5  # streams that differ by less than this end together


def segment_spans(clip: Clip, max_segment_s: float) -> list[tuple[float, float]]:
    """Cut a clip into pieces of at most ``max_segment_s``.

    Each cut lies in the second half of the piece it ends, where the sound is quietest; without
    sound, pieces are equally long. Where sound or picture ends well before the other, a piece ends
    too. Cuts fall on video frames, so sound and lips stay aligned.

    Returns:
        (start, end) of each piece in seconds, in order, without gaps.
    """
    edges = [0.0, *_early_end(clip), clip.duration_s]
    cuts: list[float] = []
    for start, end in pairwise(edges):
        audio = clip.audio
        if audio is not None and not clip.is_silent and start * SAMPLE_RATE < len(audio):
            cuts += _quiet_cuts(audio, start, end, max_segment_s)
        else:
            n_pieces = math.ceil((end - start) / max_segment_s)
            step = (end - start) / n_pieces
            cuts += [_on_frame(start + step * index) for index in range(1, n_pieces)]
    edges = sorted([*edges, *cuts])
    return list(pairwise(edges))


def _early_end(clip: Clip) -> list[float]:
    """Where the shorter of two streams ends, if that is well before the other's end."""
    if clip.audio is None or clip.mouth is None:
        return []
    ends = sorted((len(clip.audio) / SAMPLE_RATE, len(clip.mouth) / VIDEO_FPS))
    cut = _on_frame(ends[0])
    return [cut] if cut > 0 and ends[1] - ends[0] > _TOLERATED_S else []


def _quiet_cuts(audio: np.ndarray, start: float, end: float, max_segment_s: float) -> list[float]:
    cuts: list[float] = []
    while end - start > max_segment_s:
        # Two pieces of half the rest are better than a whole one and a scrap.
        latest = min(start + max_segment_s, end - max_segment_s / 4)
        start = _on_frame(_quietest_time(audio, start + max_segment_s / 2, latest))
        cuts.append(start)
    return cuts


def _quietest_time(audio: np.ndarray, earliest: float, latest: float) -> float:
    """Middle of the quietest window between two times, all in seconds."""
    span = audio[round(earliest * SAMPLE_RATE) : round(latest * SAMPLE_RATE)].astype(np.float64)
    n_window = round(_WINDOW_S * SAMPLE_RATE)
    if len(span) <= n_window:
        return (earliest + latest) / 2
    energy = np.convolve(span**2, np.ones(n_window), mode="valid")[:: SAMPLE_RATE // VIDEO_FPS]
    return earliest + int(energy.argmin()) / VIDEO_FPS + _WINDOW_S / 2


def _on_frame(time_s: float) -> float:
    return math.floor(time_s * VIDEO_FPS) / VIDEO_FPS

"""Long clips are cut into pieces that fit, at quiet moments, without losing anything."""

from itertools import pairwise

import numpy as np
import pytest

from avsr.clip import Clip
from avsr.segmentation import segment_spans


def _check(spans: list[tuple[float, float]], duration_s: float, longest_s: float) -> None:
    assert spans[0][0] == 0
    assert spans[-1][1] == pytest.approx(duration_s)
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
    assert all(0 < end - start <= longest_s + 1e-6 for start, end in spans)


def test_short_clip_stays_whole() -> None:
    assert segment_spans(Clip(audio=np.ones(48_000, np.float32)), 16.0) == [(0.0, 3.0)]


def test_cuts_fall_into_the_pauses() -> None:
    generator = np.random.default_rng(0)
    audio = generator.normal(size=30 * 16_000).astype(np.float32)
    pauses = [(7.0, 7.6), (14.0, 14.6), (21.0, 21.6)]
    for start, end in pauses:
        audio[round(start * 16_000) : round(end * 16_000)] *= 0.001
    spans = segment_spans(Clip(audio=audio), 8.0)
    _check(spans, 30.0, 8.0)
    for _, cut in spans[:3]:
        assert any(start <= cut <= end for start, end in pauses)


@pytest.mark.parametrize("seconds", [16.04, 17.0, 33.3, 100.0])
def test_lips_alone_are_cut_evenly(seconds: float) -> None:
    mouth = np.zeros((round(seconds * 25), 8, 8), dtype=np.uint8)
    spans = segment_spans(Clip(mouth=mouth), 16.0)
    _check(spans, len(mouth) / 25, 16.0)


@pytest.mark.parametrize("seconds", [16.04, 17.0, 33.3, 100.0])
def test_loud_sound_is_cut_too(seconds: float) -> None:
    audio = np.random.default_rng(1).normal(size=round(seconds * 16_000)).astype(np.float32)
    _check(segment_spans(Clip(audio=audio), 16.0), len(audio) / 16_000, 16.0)


def test_a_piece_ends_where_the_picture_ends() -> None:
    clip = Clip(audio=np.ones(10 * 16_000, np.float32), mouth=np.zeros((150, 8, 8), np.uint8))
    assert segment_spans(clip, 16.0) == [(0.0, 6.0), (6.0, 10.0)]
    nearly = Clip(audio=np.ones(10 * 16_000, np.float32), mouth=np.zeros((245, 8, 8), np.uint8))
    assert segment_spans(nearly, 16.0) == [(0.0, 10.0)]

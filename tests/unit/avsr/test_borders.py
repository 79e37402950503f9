"""Pieces where the picture begins or ends, or shows somebody else, within speech."""

from dataclasses import replace

import numpy as np
import pytest

from avsr.clips.buffer import ClipBuffer
from avsr.clips.clip import Clip
from avsr.recognition.borders import borders_of, cut_at_borders, holds_border
from avsr.route import Modality


def clip_of(n_frames: int, n_seen: int | None = None, borders: tuple[int, ...] = ()) -> Clip:
    audio = np.full(n_frames * 640, 0.1, np.float32)
    mouth = np.zeros((n_frames if n_seen is None else n_seen, 96, 96), np.uint8)
    return Clip(audio=audio, mouth=mouth, borders=borders)


def voice_of(n_frames: int, *spans: tuple[int, int]) -> np.ndarray:
    voice = np.full(n_frames, 0.02, dtype=np.float32)
    for first, last in spans:
        voice[first:last] = 0.9
    return voice


def test_the_border_is_where_the_shorter_stream_ends() -> None:
    assert borders_of(clip_of(250, 150)) == (150,)
    assert borders_of(clip_of(250, 245)) == ()
    assert borders_of(clip_of(250, 150, (40, 90))) == (40, 90, 150)
    assert borders_of(clip_of(100, 150)) == (100,)
    assert borders_of(Clip(mouth=np.zeros((9, 96, 96), np.uint8))) == ()


def test_a_border_in_a_pause_cuts_there() -> None:
    clip = clip_of(200, borders=(100,))
    voice = voice_of(200, (20, 90), (110, 180))
    assert cut_at_borders([(10, 190)], clip, voice, "av") == [(10, 100), (100, 190)]
    late = replace(clip, borders=(114,))  # a little after the pause: the pause counts
    assert cut_at_borders([(10, 190)], late, voice, "av") == [(10, 110), (110, 190)]
    assert not any(holds_border(span, late) for span in ((10, 110), (110, 190)))


def test_a_border_within_a_sentence_leaves_the_sentence_whole() -> None:
    clip = clip_of(300, borders=(150,))
    voice = voice_of(300, (20, 80), (100, 200), (220, 280))
    pieces = cut_at_borders([(10, 290)], clip, voice, "av")
    assert pieces == [(10, 90), (90, 210), (210, 290)]
    assert [holds_border(piece, clip) for piece in pieces] == [False, True, False]
    alone = cut_at_borders([(95, 205)], clip, voice, "av")
    assert alone == [(95, 205)]


def test_lips_alone_are_cut_at_every_border() -> None:
    clip = clip_of(300, borders=(150,))
    voice = voice_of(300, (100, 200))
    assert cut_at_borders([(100, 200)], clip, voice, "video") == [(100, 150), (150, 200)]
    assert cut_at_borders([(100, 200)], clip, voice, "audio") == [(100, 200)]


@pytest.mark.parametrize("modality", ["av", "video"])
def test_without_borders_nothing_is_cut(modality: Modality) -> None:
    spans = [(0, 80), (90, 190)]
    assert cut_at_borders(spans, clip_of(200), None, modality) == spans


def test_lips_go_on_where_the_sound_ends() -> None:
    clip = clip_of(100, 200)
    voice = voice_of(100, (10, 100))
    assert cut_at_borders([(5, 190)], clip, voice, "av") == [(5, 100), (100, 190)]


def test_a_bit_of_pause_is_no_piece() -> None:
    clip = clip_of(200, borders=(12, 190))
    voice = voice_of(200, (30, 170))
    assert cut_at_borders([(0, 200)], clip, voice, "av") == [(12, 190)]


def test_borders_move_with_what_is_in_memory() -> None:
    buffer = ClipBuffer(5.0)
    buffer.append(clip_of(100, borders=(60,)))
    buffer.append(clip_of(100, borders=(0, 20)))
    assert buffer.clip.borders == (60, 100, 120)
    assert buffer.cut(8.0, 9.5).borders == (25,)
    buffer.drop_before(8.0)
    assert buffer.clip.borders == (25, 45)

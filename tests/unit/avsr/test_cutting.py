"""Cutting long clips at word boundaries."""

from pathlib import Path

from avsr.datasets import SourceClip, TimedWord
from avsr.datasets.cutting import cut_clip
from avsr.manifest import Utterance


def _clip(*words: tuple[str, float, float], is_long: bool = True) -> SourceClip:
    utterance = Utterance(id="v/00001", path=Path("a.mp4"), text="all of it", speaker="v")
    timed = tuple(TimedWord(text=text, start=start, end=end) for text, start, end in words)
    return SourceClip(utterance=utterance, words=timed, split="pretrain", is_long=is_long)


def test_pieces_hold_whole_words_and_fit() -> None:
    words = [(f"w{i}", 0.43 * i, 0.43 * i + 0.31) for i in range(100)]
    pieces = cut_clip(_clip(*words), 16.0)
    assert [piece.utterance.id for piece in pieces] == ["v/00001_00", "v/00001_01", "v/00001_02"]
    texts = [word for piece in pieces for word in piece.utterance.text.split()]
    assert texts == [word for word, _, _ in words]  # every word once
    for piece in pieces:
        start, end = piece.utterance.start, piece.utterance.end
        assert start is not None
        assert end is not None
        assert 0 < end - start <= 16.0
        for edge in (start, end):
            assert abs(edge * 25 - round(edge * 25)) < 1e-9  # a frame: 640 samples
        for word in piece.words:
            original = words[int(word.text[1:])]
            assert abs(word.start + start - original[1]) < 1e-5
            assert word.start >= 0
            assert word.end <= end - start + 1e-9
    assert pieces[0].utterance.start == 0.0
    assert pieces[0].utterance.end == 15.8  # w36 ends at 15.79, w37 would end at 16.22


def test_a_piece_ends_exactly_at_the_limit() -> None:
    pieces = cut_clip(_clip(("a", 0.0, 8.0), ("b", 8.0, 16.0), ("c", 16.0, 16.04)), 16.0)
    assert [piece.utterance.text for piece in pieces] == ["a b", "c"]


def test_a_late_first_word_begins_its_own_piece() -> None:
    (piece,) = cut_clip(_clip(("late", 20.0, 20.5)), 16.0)
    assert (piece.utterance.start, piece.utterance.end) == (20.0, 20.52)


def test_a_word_longer_than_a_piece_stands_alone() -> None:
    pieces = cut_clip(_clip(("a", 0.0, 1.0), ("ooo", 1.0, 30.0), ("b", 30.0, 31.0)), 16.0)
    assert [piece.utterance.text for piece in pieces] == ["a", "ooo", "b"]


def test_other_clips_stay_whole() -> None:
    clip = _clip(("a", 0.0, 30.0), is_long=False)
    assert cut_clip(clip, 16.0) == [clip]
    assert cut_clip(_clip(), 16.0) == [_clip()]

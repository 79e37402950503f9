"""Where an input is cut into pieces: around speech, at quiet moments, never too long."""

from itertools import pairwise

import numpy as np
import pytest

from avsr.clips.clip import Clip
from avsr.recognition.segmentation import settled_frames, speech_spans, whole_spans
from avsr.recognition.speech_evidence import Evidence

NOISE = np.random.default_rng(0).normal(size=60 * 16_000).astype(np.float32)


def _voice(n_frames: int, *spans: tuple[int, int], level: float = 0.9) -> np.ndarray:
    voice = np.full(n_frames, 0.02, dtype=np.float32)
    for first, last in spans:
        voice[first:last] = level
    return voice


def _lips(n_frames: int, *spans: tuple[int, int]) -> np.ndarray:
    return _voice(n_frames, *spans, level=0.3)


def _clip(n_frames: int, **tracks: np.ndarray | None) -> Clip:
    mouth = np.zeros((n_frames, 96, 96), dtype=np.uint8)
    return Clip(**{"audio": NOISE[: n_frames * 640], "mouth": mouth, **tracks})  # pyright: ignore[reportArgumentType]


def test_short_clip_is_whole() -> None:
    assert whole_spans(Clip(audio=NOISE[:48_000]), 16.0) == [(0, 75)]


def test_cuts_fall_into_quiet_moments() -> None:
    audio = NOISE[: 20 * 16_000].copy()
    quiet = ((6.0, 6.5), (12.4, 12.8))
    for start, end in quiet:
        audio[round(start * 16_000) : round(end * 16_000)] = 0
    spans = whole_spans(Clip(audio=audio), 8.0)
    assert spans[0][0] == 0
    assert spans[-1][1] == 500
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert all(last - first <= 200 for first, last in spans)
    for cut, (start, end) in zip([span[1] for span in spans[:-1]], quiet, strict=True):
        assert start <= cut / 25 <= end


def test_silent_picture_is_cut_evenly() -> None:
    lips = Clip(mouth=np.zeros((1000, 96, 96), np.uint8))
    assert whole_spans(lips, 16.0) == [(0, 333), (333, 666), (666, 1000)]
    assert speech_spans(lips, Evidence(), "video", 16.0) == whole_spans(lips, 16.0)


def test_pieces_follow_the_voice_and_keep_some_pause() -> None:
    evidence = Evidence(voice=_voice(500, (50, 100), (108, 120), (140, 200), (300, 350)))
    spans = speech_spans(_clip(500), evidence, "audio", 16.0)
    # A pause of 8 frames is part of a sentence; one of 20 is shared; long ones are left out.
    assert spans == [(32, 130), (130, 218), (282, 368)]


def test_silence_has_no_pieces() -> None:
    evidence = Evidence(voice=_voice(500), motion=_lips(500))
    for modality in ("audio", "video", "av"):
        assert speech_spans(_clip(500), evidence, modality, 16.0) == []


def test_clicks_are_no_speech() -> None:
    evidence = Evidence(voice=_voice(500, (100, 102)))
    assert speech_spans(_clip(500), evidence, "audio", 16.0) == []


def test_lips_speak_where_the_sound_does_not() -> None:
    evidence = Evidence(voice=_voice(500), motion=_lips(500, (100, 150)))
    assert speech_spans(_clip(500), evidence, "av", 16.0) == [(82, 168)]
    assert speech_spans(_clip(500), evidence, "video", 16.0) == [(82, 168)]
    assert speech_spans(_clip(500), evidence, "audio", 16.0) == []


def test_lips_tell_sentences_apart_in_babble() -> None:
    babble = _voice(500, (0, 500))
    evidence = Evidence(voice=babble, motion=_lips(500, (50, 100), (150, 200), (300, 400)))
    spans = speech_spans(_clip(500), evidence, "av", 16.0)
    assert [first for first, _ in spans] == [0, 125, 250]
    hidden = np.full(500, np.nan, np.float32)
    unseen = speech_spans(_clip(500), Evidence(voice=babble, motion=hidden), "av", 16.0)
    assert len(unseen) == 2  # 20 s, cut only because it is long


@pytest.mark.parametrize("stirring", [0.03, 0.049, 0.051, 0.079, 0.1])
def test_lips_that_stir_in_a_pause_of_the_voice_join_no_sentences(stirring: float) -> None:
    said = ((20, 65), (96, 141), (172, 217))
    motion = np.full(240, stirring, dtype=np.float32)
    for first, last in said:
        motion[first - 4 : last + 4] = 0.3
    clip = _clip(240)
    spans = speech_spans(clip, Evidence(voice=_voice(240, *said), motion=motion), "av", 16.0)
    assert len(spans) == 3
    for span, (first, last) in zip(spans, said, strict=True):
        assert span[0] <= first - 4
        assert last + 4 <= span[1]


@pytest.mark.parametrize(("noise_db", "n_pieces"), [(-60, 3), (-30, 3), (0, 1)])
def test_a_quiet_pause_parts_sentences_whatever_the_lips_do(noise_db: int, n_pieces: int) -> None:
    said = ((20, 65), (96, 141), (172, 217))
    audio = NOISE[: 240 * 640] * 10 ** (noise_db / 20)
    for first, last in said:
        audio[first * 640 : (last + 8) * 640] = NOISE[first * 640 : (last + 8) * 640]
    evidence = Evidence(voice=_voice(240, *said), motion=_lips(240, (0, 240)))
    spans = speech_spans(_clip(240, audio=audio), evidence, "av", 16.0)
    assert len(spans) == n_pieces
    for (_, end), (_, last), (first, _) in zip(spans, said, said[1:], strict=False):
        assert n_pieces == 1 or last + 8 <= end <= first


def test_lips_that_speak_on_where_no_voice_is_heard_are_not_cut() -> None:
    voice = _voice(140, (10, 50), (90, 130))  # the rest is lost in noise
    evidence = Evidence(voice=voice, motion=_lips(140, (8, 132)))
    assert speech_spans(_clip(140), evidence, "av", 16.0) == [(0, 140)]


@pytest.mark.parametrize("seconds", [16.1, 31.0, 47.9])
def test_no_piece_is_too_long(seconds: float) -> None:
    n_frames = round(seconds * 25)
    evidence = Evidence(voice=_voice(n_frames, (0, n_frames)))
    spans = speech_spans(_clip(n_frames), evidence, "audio", 16.0)
    assert (spans[0][0], spans[-1][1]) == (0, n_frames)
    assert all(0 < last - first <= 400 for first, last in spans)


def test_what_has_settled_does_not_change_with_what_follows() -> None:
    voice = _voice(1000, (100, 160), (380, 430), (520, 600))
    for n_frames in (300, 410, 440, 460, 500):
        early = speech_spans(_clip(n_frames), Evidence(voice=voice[:n_frames]), "audio", 16.0)
        late = speech_spans(_clip(1000), Evidence(voice=voice), "audio", 16.0)
        settled = settled_frames(n_frames)
        assert [span for span in early if span[1] <= settled] == [
            span for span in late if span[1] <= settled
        ]

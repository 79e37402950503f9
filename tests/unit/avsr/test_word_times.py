"""Word times: bounds from marks and silences, grouping of tokens, alignment to a CTC head."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import avsr
from avsr.model_parts.streams import EncodedStreams
from avsr.recognition.attention_times import following_heads, monotonic_edges
from avsr.recognition.hypotheses import Hypothesis
from avsr.recognition.word_times import SpokenWord, split_words, time_words, word_bounds
from avsr.route import Route
from avsr.transcription import Word
from tests.tiny import tiny_streams


def _quiet(n_frames: int, *spans: tuple[int, int]) -> np.ndarray:
    quiet = np.zeros(n_frames, dtype=bool)
    for first, last in spans:
        quiet[first:last] = True
    return quiet


def test_words_meet_half_way_or_at_silence() -> None:
    marks = [(20, 22), (40, 41), (70, 72)]
    quiet = _quiet(100, (0, 12), (45, 60), (85, 100))
    bounds = word_bounds(marks, quiet, 100, 50)
    assert bounds == [(0.24, 0.62), (0.62, 0.9), (1.2, 1.7)]


def test_a_stop_consonant_is_no_silence() -> None:
    quiet = _quiet(100, (28, 31))  # 60 ms
    assert word_bounds([(20, 22), (40, 41)], quiet, 100, 50)[0][1] == pytest.approx(31 / 50)


def test_without_sound_words_reach_a_little_beyond_their_marks() -> None:
    (word,) = word_bounds([(10, 11)], np.zeros(40, dtype=bool), 40, 25)
    assert word == (0.2, 0.64)
    assert word_bounds([], np.zeros(0, dtype=bool), 0, 25) == []


@dataclass
class _Tokenizer:
    """Tokens that mark word starts by a space, as byte-pair encodings do."""

    tokens: tuple[str, ...]

    def decode(self, ids: tuple[int, ...], skip_special_tokens: bool) -> str:
        return "".join(self.tokens[index] for index in ids).strip()


def test_tokens_are_grouped_into_words() -> None:
    tokenizer = _Tokenizer((" see", " you", " to", "mor", "row", " "))
    hypothesis = Hypothesis(
        text="see tomorrow you",
        avg_logprob=-0.1,
        token_ids=(0, 2, 3, 4, 5, 1),
        token_log_probs=(0.0, -0.3, -0.3, -0.3, -0.3, -0.2),
    )
    words = split_words(tokenizer, hypothesis)
    assert [word.text for word in words] == ["see", "tomorrow", "you"]
    assert [word.token_ids for word in words] == [(0,), (2, 3, 4, 5), (1,)]
    assert words[1].probability == pytest.approx(np.exp(-0.3))
    assert split_words(tokenizer, Hypothesis(text="", avg_logprob=0.0)) == []


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> Any:
    """A tiny model whose CTC head spells out what the features say."""
    loaded: Any = avsr.load(tiny_folder, device="cpu").loaded
    loaded.model.audio_ctc_head = nn.Identity()
    return loaded


def _encoded(n_frames: int, n_classes: int, marks: dict[int, int]) -> EncodedStreams:
    """Features that are CTC scores: the blank everywhere but at ``marks`` (frame to token)."""
    features = torch.zeros(1, n_frames, n_classes)
    features[..., -1] = 5.0
    for frame, token in marks.items():
        features[0, frame, token] = 10.0
    return EncodedStreams.whole(audio=features)


def _time(loaded: Any, words: list[SpokenWord], streams: EncodedStreams) -> tuple[Word, ...]:
    return time_words(loaded, words, streams, None, Route.parse("A4"))


def test_words_are_found_where_the_head_marks_them(loaded: Any) -> None:
    words = [
        SpokenWord(text="bin", token_ids=(3,), probability=0.9),
        SpokenWord(text="blue", token_ids=(7, 8), probability=0.8),
    ]
    encoded = _encoded(60, 33, {20: 3, 40: 7, 44: 8})
    first, second = _time(loaded, words, encoded)
    assert (first.word, first.probability) == ("bin", 0.9)
    assert (first.start, first.end) == (0.2, second.start) == (0.2, 0.61)
    assert second.end == pytest.approx(1.1)


def test_no_times_without_room(loaded: Any) -> None:
    word = SpokenWord(text="no", token_ids=(3, 3, 3), probability=0.5)
    assert _time(loaded, [word], _encoded(4, 33, {})) == ()  # two blanks must part the three
    assert len(_time(loaded, [word], _encoded(5, 33, {}))) == 1
    assert _time(loaded, [], _encoded(9, 33, {})) == ()


def test_a_stream_is_divided_where_the_weights_are() -> None:
    weights = np.zeros((3, 8))
    weights[0, 1:3] = weights[1, 3] = weights[2, 5:8] = 1.0
    assert monotonic_edges(weights)[0] == 0
    assert monotonic_edges(weights)[-1] == 8
    first, second = monotonic_edges(weights)[1:3]
    assert first == 3
    assert 4 <= second <= 5
    assert monotonic_edges(np.random.default_rng(0).normal(size=(4, 4))) == [0, 1, 2, 3, 4]


def test_heads_that_follow_the_speech_are_found() -> None:
    generator = np.random.default_rng(0)
    weights = generator.uniform(0, 0.1, size=(8, 5, 40))
    weights[6] = 0.01
    for n in range(5):
        weights[6, n, 4 + 7 * n] = 1.0  # follows
        weights[2, n, 32 - 7 * n] = 1.0  # goes backwards
        weights[3, n, 0] = 5.0  # a sink
    followed = following_heads(weights)
    assert followed.shape == (5, 40)
    assert all(abs(followed[n].argmax() - (4 + 7 * n)) <= 1 for n in range(5))


@pytest.mark.parametrize("route", ["A4", "V2", "A4 V2"])
def test_without_a_head_attention_tells(tiny_folder: Path, route: str) -> None:
    loaded = avsr.load(tiny_folder, device="cpu").loaded
    words = [
        SpokenWord(text="bin", token_ids=(3,), probability=0.9),
        SpokenWord(text="blue", token_ids=(7, 8), probability=0.8),
    ]
    timed = time_words(loaded, words, tiny_streams([50]), None, Route.parse(route))
    assert [word.word for word in timed] == ["bin", "blue"]
    assert 0 <= timed[0].start < timed[0].end <= timed[1].start < timed[1].end <= 2.0

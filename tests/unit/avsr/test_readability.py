"""Whether what is said is what a model reads: signs, their weighing, and what users are told."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import avsr
from avsr.model_files.readability import READABILITY_FILE, read_readability
from avsr.recognition.hypotheses import decode, encode
from avsr.recognition.readability import (
    Signs,
    gather_signs,
    passage_doubts,
    readability,
    readability_doubts,
)
from avsr.transcription import Segment
from avsr_frontends.media import read_audio

SAMPLE = Path(__file__).parents[3] / "demo" / "samples" / "clean.mp4"
WEIGHTS = {"audio": {"bias": 1.0, "log_prob": 2.0, "audio_gap": -1.0}}
SAID = Signs(n_tokens=6, log_prob=-0.1, gaps={"audio": -2.0})
MADE_UP = Signs(n_tokens=6, log_prob=-3.0, gaps={"audio": 20.0})


@pytest.fixture(scope="module")
def recognizer() -> avsr.Recognizer:
    return avsr.load("grid-tiny", "cpu")


def _probability(*parts: Signs) -> float:
    found = readability([{"audio": part} for part in parts], WEIGHTS)
    assert found is not None
    return found


def test_what_heads_and_language_model_agree_on_is_believed() -> None:
    assert _probability(SAID) == pytest.approx(1 / (1 + np.exp(-(1 - 0.2 / 6 + 2 / 6))))
    assert not readability_doubts(_probability(SAID))
    assert len(readability_doubts(_probability(MADE_UP))) == 1


def test_an_input_is_judged_as_a_whole() -> None:
    long = Signs(n_tokens=60, log_prob=-1.0, gaps={"audio": -20.0})
    assert not readability_doubts(_probability(long, MADE_UP))
    assert readability_doubts(_probability(SAID, MADE_UP, MADE_UP))
    assert _probability(SAID, MADE_UP) == pytest.approx(_probability(SAID + MADE_UP))


def test_modalities_are_judged_by_their_own_weights() -> None:
    weights = {**WEIGHTS, "av": {"bias": -3.0, "video_gap": -1.0}}
    both = Signs(n_tokens=6, gaps={"audio": 60.0, "video": 6.0})
    lips = Signs(n_tokens=600, gaps={"video": 1e4})  # of lips alone nothing is known
    assert readability([{"av": both}], weights) == pytest.approx(1 / (1 + np.exp(4.0)))
    assert readability([{"av": both}, {"video": lips}], weights) == pytest.approx(
        1 / (1 + np.exp(4.0))
    )
    found = readability([{"av": both, "audio": replace(SAID, n_tokens=600)}], weights)
    assert found is not None
    assert found > 0.6


@pytest.mark.parametrize("weights", [{}, {"video": {"bias": -9.0}}])
def test_what_cannot_be_judged_is_not_doubted(weights: dict[str, dict[str, float]]) -> None:
    assert readability([{"audio": MADE_UP}], weights) is None
    assert readability([], WEIGHTS) is None
    assert readability([{"audio": Signs()}], WEIGHTS) is None
    assert readability_doubts(None) == []


def test_a_sign_that_a_reading_lacks_leaves_it_without_judgement() -> None:
    weights = {"audio": {"bias": 4.0, "draft_log_prob": 4.0, "draft_spread": -2.0}}
    unsure = replace(SAID, draft={"log_prob": -12.0, "spread": 3.0})
    assert readability([{"audio": SAID}], weights) is None  # read without a draft
    assert readability([{"audio": unsure}], weights) == pytest.approx(1 / (1 + np.exp(5.0)))
    assert not SAID.enough_for(weights["audio"])
    assert not Signs(draft=unsure.draft).enough_for(weights["audio"])  # no text
    assert unsure.enough_for(weights["audio"])
    sure = replace(SAID, draft={"log_prob": -0.6, "spread": 0.6})
    found = readability([{"audio": unsure}, {"audio": sure}], weights)
    assert found == pytest.approx(1 / (1 + np.exp(0.5 * (5.0 - 3.4))))


def _segment(start: float, end: float, probability: float | None) -> Segment:
    return Segment(start=start, end=end, text="", avg_logprob=0.0, readability=probability)


def test_passages_that_are_not_read_are_told() -> None:
    said = [_segment(0, 5, 0.9), _segment(5, 10, None), _segment(12, 16, 0.5)]
    assert passage_doubts(said) == []
    short = _segment(20, 23, 0.1)
    assert passage_doubts([*said, short]) == []
    (told,) = passage_doubts([*said, short, _segment(23.5, 30, 0.2), _segment(30, 39, 0.9)])
    assert told == (
        "probably not what the model reads (another language, other sentences or no speech): "
        "20.0-30.0 s; do not trust the words there"
    )
    apart = [_segment(10 * n, 10 * n + 5, 0.9 if n % 2 else 0.1) for n in range(14)]
    assert "80.0-85.0 s and 2 more; do not" in passage_doubts(apart)[0]


def test_signs_tell_a_text_that_was_said_from_one_that_was_not(
    recognizer: avsr.Recognizer,
) -> None:
    loaded = recognizer.loaded
    route = loaded.route("audio")
    streams = encode(loaded, waveforms=[read_audio(SAMPLE)])
    said = decode(loaded, streams, route)[0]
    other = replace(said, token_ids=said.token_ids[::-1])
    alone = gather_signs(loaded, said, streams, route)
    assert set(alone.gaps) == {"audio"}
    assert alone.n_tokens == len(said.token_ids)
    assert alone.log_prob / alone.n_tokens == pytest.approx(said.avg_logprob, abs=0.2)
    assert alone.gaps["audio"] < 0 < 20 < gather_signs(loaded, other, streams, route).gaps["audio"]
    nothing = gather_signs(loaded, replace(said, token_ids=()), streams, route)
    assert nothing == Signs()


def test_weights_come_with_a_model(tmp_path: Path, recognizer: avsr.Recognizer) -> None:
    assert read_readability(tmp_path) == {}
    (tmp_path / READABILITY_FILE).write_text(json.dumps(WEIGHTS))
    assert read_readability(tmp_path) == WEIGHTS
    assert set(recognizer.loaded.readability) == {"audio", "av"}


@pytest.mark.parametrize("content", ["[]", "{", '{"audio": 3}', '{"audio": {"bias": "much"}}'])
def test_a_damaged_table_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / READABILITY_FILE).write_text(content)
    with pytest.raises(ValueError, match=f"{READABILITY_FILE} is no table of weights"):
        read_readability(tmp_path)


@pytest.fixture(scope="module")
def made_up(recognizer: avsr.Recognizer) -> Callable[[], avsr.TranscriptionResult]:
    """Reads sound that has the loudness of speech and says nothing that the model knows."""

    def read() -> avsr.TranscriptionResult:
        sound = read_audio(SAMPLE)[::-1].copy()
        return recognizer.transcribe(sound, keep_unsure=True)

    return read


def test_speech_backwards_is_doubted(made_up: Callable[[], avsr.TranscriptionResult]) -> None:
    result = made_up()
    assert result.text
    assert result.readability is not None
    assert result.readability < 0.5
    assert result.warnings[0].startswith("this is probably not what the model reads")
    values = result.to_dict()
    assert values["readability"] == round(result.readability, 4)
    assert values["warnings"] == list(result.warnings)
    assert "NOTE warning: this is probably not" in avsr.render(result, "vtt")


@pytest.mark.parametrize("modality", ["auto", "audio", "video"])
def test_a_command_is_not_doubted(recognizer: avsr.Recognizer, modality: str) -> None:
    result = recognizer.transcribe(SAMPLE, modality=modality)
    assert result.warnings == ()
    if modality == "video":
        assert result.readability is None
    else:
        assert result.readability is not None
        assert result.readability > 0.9

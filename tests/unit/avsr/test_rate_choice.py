"""Rates: presets, budgets, and readings as fine as needed."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avsr.errors import UsageError
from avsr.pretrained import LoadedModel, load_model
from avsr.recognition import rate_choice
from avsr.recognition.hypotheses import Encoded, Hypothesis, encode_audio
from avsr.recognition.rate_choice import (
    RateWish,
    choose_rates,
    decode_as_fine_as_needed,
    estimate_snr_db,
    tokens_per_second,
)
from avsr.transcription import Rates


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> LoadedModel:
    return load_model(tiny_folder, "cpu")


@pytest.mark.parametrize(
    ("wish", "modality", "expected"),
    [
        (RateWish(), "av", (4, 2)),
        (RateWish(quality="best"), "audio", (4, None)),
        (RateWish(quality="balanced"), "av", (4, 5)),
        (RateWish(quality="fast"), "av", (16, 5)),
        (RateWish(quality="fast"), "video", (None, 5)),
        (RateWish(quality="fast", audio_rate=4), "av", (4, 5)),
        (RateWish(max_tokens_per_second=20), "av", (4, 5)),
        (RateWish(max_tokens_per_second=16), "av", (16, 2)),
        (RateWish(max_tokens_per_second=16), "audio", (4, None)),
        (RateWish(max_tokens_per_second=16, video_rate=5), "av", (16, 5)),
    ],
)
def test_rates_follow_the_wish(
    loaded: LoadedModel, wish: RateWish, modality: Any, expected: tuple[int | None, int | None]
) -> None:
    rates = choose_rates(loaded, modality, wish)
    assert (rates.audio, rates.video) == expected


def test_a_budget_that_nothing_fits_is_refused(loaded: LoadedModel) -> None:
    with pytest.raises(UsageError, match=r"audio rate 16, video rate 5\) need 8.12"):
        choose_rates(loaded, "av", RateWish(max_tokens_per_second=2))


def test_tokens_are_counted() -> None:
    assert tokens_per_second(Rates(audio=4, video=2)) == 25
    assert tokens_per_second(Rates(audio=None, video=5)) == 5


def _voice(noise: float) -> np.ndarray:
    time = np.arange(32_000) / 16_000
    speech = 0.3 * np.sin(2 * np.pi * 200 * time) * (np.sin(2 * np.pi * time) > 0)
    return (speech + noise * np.random.default_rng(0).normal(0, 1, 32_000)).astype(np.float32)


def test_snr_is_told_from_loud_and_soft() -> None:
    assert estimate_snr_db(_voice(0.001)) > 30
    assert 5 < estimate_snr_db(_voice(0.05)) < 20
    assert estimate_snr_db(_voice(1.0)) < 3
    assert estimate_snr_db(_voice(0.001)[:1000]) == 0


def test_only_what_is_doubtful_or_noisy_is_read_finely(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = [_voice(0.001), 0.5 * _voice(0.001), _voice(1.0)]
    audio = encode_audio(loaded, sounds)
    asked: list[tuple[int, int]] = []

    def decode(
        _loaded: LoadedModel, _modality: str, *, audio: Encoded, audio_rate: int, **_rest: Any
    ) -> list[Hypothesis]:
        asked.append((audio_rate, len(audio.frame_lengths)))
        sure = (math.log(0.95), math.log(0.5)) if audio_rate == 16 else (math.log(0.4),) * 2
        return [
            Hypothesis(text=f"{audio_rate}", token_ids=(), token_log_probs=(), avg_logprob=value)
            for value in sure
        ]

    monkeypatch.setattr(rate_choice, "decode", decode)
    read = decode_as_fine_as_needed(
        loaded, "audio", RateWish(), audio=audio, video=None, waveforms=sounds
    )
    assert asked == [(16, 2), (4, 2)]  # the noisy one is not tried coarsely
    assert [one.hypothesis.text for one in read] == ["16", "16", "4"]  # the surer one counts
    assert [one.tokens_per_second for one in read] == [3.125, 15.625, 12.5]

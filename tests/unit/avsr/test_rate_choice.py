"""Rates: presets, budgets, and readings as fine as needed."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avsr.decoding.options import SearchOptions
from avsr.errors import UsageError
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel, load_model
from avsr.recognition import rate_choice
from avsr.recognition.hypotheses import Hypothesis, encode
from avsr.recognition.rate_choice import choose_route, decode_as_fine_as_needed, estimate_snr_db
from avsr.recognition.request import Request
from avsr.route import Route


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> LoadedModel:
    return load_model(tiny_folder, "cpu")


@pytest.mark.parametrize(
    ("wish", "modality", "expected"),
    [
        (Request(), "av", (4, 2)),
        (Request(quality="best"), "audio", (4, None)),
        (Request(quality="balanced"), "av", (4, 5)),
        (Request(quality="fast"), "av", (16, 5)),
        (Request(quality="fast"), "video", (None, 5)),
        (Request(quality="fast", audio_rate=4), "av", (4, 5)),
        (Request(max_tokens_per_second=20), "av", (4, 5)),
        (Request(max_tokens_per_second=16), "av", (16, 2)),
        (Request(max_tokens_per_second=16), "audio", (4, None)),
        (Request(max_tokens_per_second=16, video_rate=5), "av", (16, 5)),
    ],
)
def test_rates_follow_the_wish(
    loaded: LoadedModel, wish: Request, modality: Any, expected: tuple[int | None, int | None]
) -> None:
    route = choose_route(loaded, modality, wish)
    assert (route.modality, route.audio_rate, route.video_rate) == (modality, *expected)


def test_a_budget_that_nothing_fits_is_refused(loaded: LoadedModel) -> None:
    with pytest.raises(UsageError, match=r"audio rate 16, video rate 5\) need 8.12"):
        choose_route(loaded, "av", Request(max_tokens_per_second=2))


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
    streams = encode(loaded, waveforms=sounds)
    asked: list[tuple[str, int]] = []

    def decode(
        _loaded: LoadedModel, streams: EncodedStreams, route: Route, _search: SearchOptions
    ) -> list[Hypothesis]:
        asked.append((route.text, streams.n_clips))
        sure = (math.log(0.95), math.log(0.5)) if route.text == "A16" else (math.log(0.4),) * 2
        return [
            Hypothesis(text=route.text, token_ids=(), token_log_probs=(), avg_logprob=value)
            for value in sure
        ]

    monkeypatch.setattr(rate_choice, "decode", decode)
    read = decode_as_fine_as_needed(loaded, streams, "audio", Request(), sounds)
    assert asked == [("A16", 2), ("A4", 2)]  # the noisy one is not tried coarsely
    texts = [one.hypothesis.text for one in read]
    assert texts == ["A16", "A16", "A4"]  # the surer one counts
    assert [one.route.text for one in read] == texts

"""Audio features: normalisation, log-mel, frame counts and mixing."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from avsr_frontends.audio import audio_frame_count, log_mel, normalise_waveform


@pytest.fixture
def clip() -> np.ndarray:
    return np.random.default_rng(0).normal(0.1, 0.3, 20_123).astype(np.float32)


def test_normalised_to_zero_mean_and_unit_variance(clip: np.ndarray) -> None:
    normalised = normalise_waveform(clip)
    assert normalised.dtype == np.float32
    assert normalised.mean() == pytest.approx(0, abs=1e-5)
    assert normalised.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(normalise_waveform(7 * clip + 3), normalised, atol=1e-4)
    assert not normalise_waveform(np.full(100, 0.5)).any()
    assert len(normalise_waveform(np.zeros(0))) == 0


@pytest.mark.parametrize("n_mels", [80, 128])
def test_padded_equals_hugging_face(clip: np.ndarray, n_mels: int) -> None:
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    expected = extractor(clip, sampling_rate=16_000, return_tensors="np")["input_features"][0]
    ours = log_mel(clip, n_mels, padded=True)
    assert ours.shape == (n_mels, 3000)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_exact_covers_the_clip_and_nothing_else(clip: np.ndarray) -> None:
    features = log_mel(clip)
    assert features.dtype == torch.float32
    assert features.shape == (80, 2 * 63)  # 20123 / 320 = 62.9
    padded = log_mel(clip, padded=True)
    np.testing.assert_allclose(features[:, :120], padded[:, :120], atol=1e-5)
    assert log_mel(clip[:100]).shape == (80, 50)
    assert log_mel(clip[:0]).shape == (80, 50)


def test_padded_cuts_long_clips() -> None:
    assert log_mel(np.ones(500_000, dtype=np.float32), padded=True).shape == (80, 3000)
    assert log_mel(np.ones(500_000, dtype=np.float32)).shape[1] == 2 * 1563


def test_official_numerics_rounds_to_bfloat16(clip: np.ndarray) -> None:
    official = log_mel(clip, padded=True, official_numerics=True)
    assert torch.equal(official, official.bfloat16().float())
    difference = (official - log_mel(clip, padded=True)).abs()
    assert 0 < difference.mean() < 0.02


@pytest.mark.parametrize(
    ("n_samples", "exact", "padded"), [(0, 25, 25), (8_000, 25, 25), (8_001, 26, 25)]
)
def test_frame_counts(n_samples: int, exact: int, padded: int) -> None:
    assert audio_frame_count(n_samples, padded=False) == exact
    assert audio_frame_count(n_samples, padded=True) == padded


def test_frame_count_in_single_precision() -> None:
    assert audio_frame_count(33_920, padded=True) == 105  # exact arithmetic gives 106
    assert audio_frame_count(33_920, padded=False) == 106

"""Babble mixed into recordings."""

import numpy as np
import pytest

from avsr_demo.babble import add_babble, babble


def _voice(n_samples: int = 16_000) -> np.ndarray:
    return (0.05 * np.sin(np.arange(n_samples) / 7)).astype(np.float32)


def test_the_recording_is_speech_of_many_without_pauses() -> None:
    noise = babble()
    loudness = np.sqrt(np.mean(noise[: len(noise) // 1600 * 1600].reshape(-1, 1600) ** 2, axis=1))

    assert len(noise) >= 8 * 16_000
    assert loudness.min() > 0.3 * np.sqrt(np.mean(noise**2))


@pytest.mark.parametrize("snr_db", [10.0, 0.0, -5.0])
def test_the_ratio_is_exact(snr_db: float) -> None:
    voice = _voice()
    added = add_babble(voice, snr_db).astype(np.float64) - voice
    measured = 10 * np.log10(np.mean(voice.astype(np.float64) ** 2) / np.mean(added**2))

    assert measured == pytest.approx(snr_db, abs=0.01)


def test_the_same_recording_gets_the_same_babble() -> None:
    np.testing.assert_array_equal(add_babble(_voice(), 0), add_babble(_voice(), 0))


def test_silence_stays_silence() -> None:
    silence = np.zeros(1000, dtype=np.float32)

    np.testing.assert_array_equal(add_babble(silence, 0), silence)


def test_loud_mixtures_stay_within_full_scale() -> None:
    assert np.abs(add_babble(10 * _voice(), -10)).max() <= 1

"""Noise is deterministic, has exactly the wanted level, and never holds the utterance itself."""

from pathlib import Path

import numpy as np
import pytest

from avsr.errors import UsageError
from avsr.manifest import Utterance
from avsr.noise import (
    Babble,
    Recording,
    cut_noise,
    generator_for,
    measured_snr_db,
    mix_at_snr,
    rank_voices,
)


def _utterance(name: str, speaker: str | None = None) -> Utterance:
    return Utterance(id=name, path=Path(f"{name}.wav"), text="x", speaker=speaker)


def _tone(name: str) -> np.ndarray:
    frequency = 4 * sum(name.encode())  # whole periods in half a second
    return np.sin(np.arange(8000) * frequency / 16000 * 2 * np.pi).astype(np.float32)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 0, 10.0])
def test_snr_is_exact_and_zero_means_zero(snr_db: float) -> None:
    generator = np.random.default_rng(0)
    speech, noise = 0.01 * generator.normal(size=16000), 3 * generator.normal(size=16000)
    mixed = mix_at_snr(speech, noise, snr_db)
    assert mixed.dtype == np.float32
    added = mixed - speech
    expected_db = 10 * np.log10(np.mean(speech**2) / np.mean(added**2))
    assert expected_db == pytest.approx(snr_db, abs=1e-3)
    assert measured_snr_db(speech, mixed) == pytest.approx(snr_db, abs=1e-4)
    assert np.corrcoef(added, noise)[0, 1] == pytest.approx(1, abs=1e-5)


def test_silence_has_no_snr() -> None:
    with pytest.raises(ValueError, match="speech is silent"):
        mix_at_snr(np.zeros(10), np.ones(10), 0)
    with pytest.raises(ValueError, match="noise is silent"):
        mix_at_snr(np.ones(10), np.zeros(10), 0)
    with pytest.raises(ValueError, match="nothing was added"):
        measured_snr_db(np.ones(10), np.ones(10))
    with pytest.raises(ValueError, match="equally long"):
        mix_at_snr(np.ones(10), np.ones(9), 0)


def test_choice_depends_on_id_and_seed_alone() -> None:
    draws = [
        generator_for(name, seed).integers(1 << 40)
        for name, seed in [("a", 0), ("a", 0), ("a", 1), ("b", 0)]
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_short_noise_wraps_around() -> None:
    cut = cut_noise(np.arange(5.0), 12, np.random.default_rng(3))
    assert len(cut) == 12
    np.testing.assert_array_equal(np.diff(cut) % 5, np.ones(11))


def test_voices_are_others_and_other_speakers_come_first() -> None:
    pool = [_utterance(f"s{speaker}_{n}", f"s{speaker}") for speaker in (1, 2) for n in range(6)]
    for seed in range(20):
        voices = rank_voices(pool[0], pool, generator_for("s1_0", seed))
        assert len({voice.id for voice in voices}) == 11
        assert pool[0] not in voices
        assert {voice.speaker for voice in voices[:6]} == {"s2"}


def test_same_file_under_another_id_is_not_its_own_babble() -> None:
    own = _utterance("a")
    twin = Utterance(id="twin", path=own.path, text="x")
    others = [own, twin, _utterance("b"), _utterance("c")]
    voices = rank_voices(own, others, generator_for("a", 0))
    assert {voice.id for voice in voices} == {"b", "c"}


def test_babble_is_reproducible_whatever_the_order_of_reading() -> None:
    pool = [_utterance(name) for name in "abcdef"]

    def read(utterance: Utterance) -> np.ndarray:
        return _tone(utterance.id)

    source = Babble(others=pool, read=read, seed=1)
    first = source.for_utterance(pool[0], 12000)
    source.for_utterance(pool[1], 12000)
    np.testing.assert_array_equal(first, source.for_utterance(pool[0], 12000))
    assert first.shape == (12000,)
    other_seed = Babble(others=pool, read=read, seed=2)
    assert not np.array_equal(first, other_seed.for_utterance(pool[0], 12000))


def test_babble_voices_are_equally_loud() -> None:
    loudness = {"a": 1.0, "b": 100.0, "c": 0.01}
    pool = [_utterance(name) for name in loudness]
    source = Babble(others=pool, read=lambda u: loudness[u.id] * _tone(u.id), seed=0)
    noise = source.for_utterance(pool[0], 8000)
    for name in "bc":  # tones of different frequencies do not overlap
        tone = _tone(name)
        spectrum = np.abs(np.fft.rfft(noise)) / np.abs(np.fft.rfft(tone)).max()
        assert spectrum[np.abs(np.fft.rfft(tone)).argmax()] == pytest.approx(2**0.5, rel=0.1)


def test_voices_without_sound_are_replaced() -> None:
    pool = [_utterance(name) for name in "abcdef"]

    def read(utterance: Utterance) -> np.ndarray | None:
        return {"b": None, "c": np.zeros(100, np.float32)}.get(utterance.id, _tone(utterance.id))

    few = Babble(others=pool, read=read, seed=0, n_voices=3).for_utterance(pool[0], 8000)
    assert np.mean(few**2) == pytest.approx(3, rel=1e-3)  # d, e and f, each of power 1


def test_too_few_voices() -> None:
    pool = [_utterance("a"), _utterance("b")]
    with pytest.raises(UsageError, match="at least two other clips with sound, got 1"):
        Babble(others=pool, read=lambda u: _tone(u.id), seed=0).for_utterance(pool[0], 100)


def test_silent_stretch_of_a_recording() -> None:
    source = Recording(audio=np.zeros(1000), seed=0)
    with pytest.raises(UsageError, match="silent for the length of a clip"):
        source.for_utterance(_utterance("a"), 10)


def test_recording_is_cut_at_a_place_of_its_own_for_each_utterance() -> None:
    source = Recording(audio=np.arange(10_000.0), seed=0)
    starts = {source.for_utterance(_utterance(name), 10)[0] for name in "abcd"}
    assert len(starts) == 4

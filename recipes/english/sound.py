"""Changes of recorded or synthetic speech for training; a numpy generator fixes all of them.

N samples float32 in -1..1 at 16 kHz.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from scipy.signal import fftconvolve, resample_poly

from avsr.noise import mix_at_snr

SAMPLE_RATE = 16_000


def change_tract(samples: np.ndarray, ratio: float) -> np.ndarray:
    """Play ``ratio`` times faster: pitch, vocal tract and tempo move together."""
    up, down = 100, max(1, round(100 * ratio))
    return resample_poly(samples, up, down).astype(np.float32)


def add_room(samples: np.ndarray, rng: Generator) -> np.ndarray:
    """Convolve with a made-up room: decaying noise after the direct sound."""
    decay_s = rng.uniform(0.08, 0.45)
    times = np.arange(round(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    room = rng.standard_normal(len(times)) * np.exp(-6.9 * times / decay_s)
    room *= rng.uniform(0.05, 0.5) / np.sqrt((room**2).sum())
    room[0] = 1.0
    return fftconvolve(samples, room)[: len(samples)].astype(np.float32)


def equalise(samples: np.ndarray, rng: Generator) -> np.ndarray:
    """Another microphone: a smooth random curve of about +-8 dB, sometimes a telephone's band."""
    spectrum = np.fft.rfft(samples)
    at = np.linspace(0, 8000, len(spectrum))
    gain_db = np.interp(at, np.linspace(0, 8000, 7), rng.normal(0, 5, 7))
    if rng.random() < 0.15:
        gain_db += np.where((at < 300) | (at > 3400), -40, 0)
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples)).astype(np.float32)


def babble(voices: Sequence[np.ndarray], n_samples: int, rng: Generator) -> np.ndarray:
    """Two to eight voices at once, each at a level of its own, beginning anywhere."""
    total = np.zeros(n_samples, np.float32)
    for _ in range(rng.integers(2, 9)):
        voice = voices[rng.integers(len(voices))]
        voice = np.roll(voice, rng.integers(len(voice)))
        total += np.resize(voice, n_samples) * rng.uniform(0.5, 1.0) / (level(voice) + 1e-5)
    return total


def excerpt(recording: np.ndarray, n_samples: int, rng: Generator) -> np.ndarray:
    """A stretch of a noise recording, repeated where it is too short."""
    start = rng.integers(max(1, len(recording) - n_samples))
    return np.resize(recording[start:], n_samples).astype(np.float32)


def level(samples: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def disturb(
    samples: np.ndarray,
    voices: Sequence[np.ndarray],
    recordings: Sequence[np.ndarray],
    rng: Generator,
    noisy_share: float,
) -> np.ndarray:
    """One random recording condition: room, microphone, noise, level.

    Args:
        samples: [N].
        voices: other speech, for babble.
        recordings: noise.
        rng: decides everything.
        noisy_share: of clips with noise, at -5 to 20 dB.

    Returns:
        [N], at most 1 in magnitude.
    """
    if rng.random() < 0.3:
        samples = add_room(samples, rng)
    if rng.random() < 0.4:
        samples = equalise(samples, rng)
    if rng.random() < noisy_share:
        if rng.random() < 0.6 or not recordings:
            noise = babble(voices, len(samples), rng)
        else:
            noise = excerpt(recordings[rng.integers(len(recordings))], len(samples), rng)
        samples = mix_at_snr(samples, noise, rng.uniform(-5, 20))
    samples = samples * 10 ** (rng.uniform(-30, -8) / 20) / (level(samples) + 1e-6)
    return np.clip(samples, -1, 1).astype(np.float32)

"""Sound that deserves little trust, for training, beside noise: clipped, muffled, with gaps.

Nothing here changes the samples in place. Shapes: N audio samples at 16 kHz.
"""

import numpy as np

from avsr.training.settings import AugmentationSettings
from avsr_frontends.rates import SAMPLE_RATE

__all__ = ["spoil_sound"]

CLIPPED_DB = (6.0, 30.0)  # of the loudest sample cut off
MUFFLED_HZ = (400.0, 2500.0)  # what is above is lost: a hand on the microphone, a wall
PACKET_SAMPLES = (320, 1280)  # 20 to 80 ms
LOST_SHARE = (0.1, 0.4)  # of all packets


def spoil_sound(
    audio: np.ndarray, settings: AugmentationSettings, generator: np.random.Generator
) -> np.ndarray:
    """With the probability that is set, let something go wrong with the [N] sound of one clip.

    Args:
        audio: float samples, noise included.
        settings: how often, and what.
        generator: of the sound alone.
    """
    if not settings.bad_sound or generator.random() >= settings.bad_sound:
        return audio
    kind = settings.bad_sound_kinds[int(generator.integers(len(settings.bad_sound_kinds)))]
    change = {"clipped": clip, "muffled": muffle, "gaps": lose_packets}[kind]
    return change(audio, generator).astype(audio.dtype)


def clip(audio: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Overdriven: the loudest parts are cut off."""
    limit = np.abs(audio).max(initial=0.0) * 10 ** (-generator.uniform(*CLIPPED_DB) / 20)
    return np.clip(audio, -limit, limit)


def muffle(audio: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Without its high frequencies, which fall by 24 dB in each octave."""
    limit = np.exp(generator.uniform(*np.log(MUFFLED_HZ)))
    frequencies = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    gain = 1 / np.sqrt(1 + (frequencies / limit) ** 8)
    return np.fft.irfft(np.fft.rfft(audio) * gain, len(audio))


def lose_packets(audio: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A bad connection: short stretches are silent."""
    size = int(generator.integers(*PACKET_SAMPLES, endpoint=True))
    lost = generator.random(-(-len(audio) // size)) < generator.uniform(*LOST_SHARE)
    return np.where(np.repeat(lost, size)[: len(audio)], 0.0, audio)

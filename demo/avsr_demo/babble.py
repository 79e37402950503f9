"""Babble mixed into a recording before it is recognised. N counts samples at 16 kHz."""

from functools import cache
from pathlib import Path

import numpy as np

from avsr.noise import cut_noise, generator_for, mix_at_snr
from avsr_frontends.media import read_audio

BABBLE_FILE = Path(__file__).parent / "assets" / "babble.ogg"  # eight synthetic voices
CHOICES_DB = (10, 5, 0, -5, -10)  # ratios of voice to babble that the page offers
_SEED = 7


@cache
def babble() -> np.ndarray:
    """The babble recording, [N] float32."""
    return read_audio(BABBLE_FILE)


def add_babble(speech: np.ndarray, snr_db: float) -> np.ndarray:
    """Mix babble in at a signal-to-noise ratio; the same speech gives the same mixture.

    Args:
        speech: [N] float32.
        snr_db: power of the speech over that of the babble; 0 is equally loud, less is louder.

    Returns:
        [N] float32, scaled down where it would exceed full scale; silence stays silence.
    """
    if not speech.any():
        return speech
    noise = cut_noise(babble(), len(speech), generator_for(str(len(speech)), _SEED))
    mixed = mix_at_snr(speech, noise, snr_db)
    return mixed / max(1.0, float(np.abs(mixed).max()))

"""Babble mixed into a recording before it is recognised. N counts samples at 16 kHz."""

from functools import cache
from pathlib import Path

import numpy as np

from avsr.noise import cut_noise, generator_for, mix_at_snr
from avsr_frontends.media import read_audio

BABBLE_FILE = Path(__file__).parent / "assets" / "babble.ogg"  # eight synthetic voices
QUIETEST_DB = -20  # relative to the voice; the slider's end, which stands for no babble
LOUDEST_DB = 10
_SEED = 7


@cache
def babble() -> np.ndarray:
    """The babble recording, [N] float32."""
    return read_audio(BABBLE_FILE)


def add_babble(speech: np.ndarray, level_db: float) -> np.ndarray:
    """Mix babble in at a level relative to the speech; the same speech gives the same mixture.

    Args:
        speech: [N] float32.
        level_db: power of the babble over that of the speech; 0 is equally loud.
            ``QUIETEST_DB`` and below leave the speech as it is.

    Returns:
        [N] float32, scaled down where it would exceed full scale; silence stays silence.
    """
    if level_db <= QUIETEST_DB or not speech.any():
        return speech
    noise = cut_noise(babble(), len(speech), generator_for(str(len(speech)), _SEED))
    mixed = mix_at_snr(speech, noise, -level_db)
    return mixed / max(1.0, float(np.abs(mixed).max()))

"""Sounds and pictures that tests put into clips."""

import numpy as np

SAMPLE_RATE = 16_000


def tone(seconds: float, frequency_hz: float = 220.0) -> np.ndarray:
    """[N] float32 at 16 kHz: a tone that swells and fades four times a second, as syllables do."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    swell = np.sin(4 * np.pi * time) ** 2
    return (0.3 * swell * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


def portrait() -> np.ndarray:
    """[256, 256, 3] uint8: the public-domain portrait that comes with scikit-image."""
    from skimage.data import astronaut

    return np.ascontiguousarray(astronaut()[:256, 96:352])


def specks(n_frames: int) -> list[np.ndarray]:
    """[96, 128, 3] uint8 pictures of coloured noise, in which no face is."""
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 255, (n_frames, 96, 128, 3), dtype=np.uint8))

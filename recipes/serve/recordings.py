"""Recordings of 3 to 10 s to ask a server for, each of its own text.

    python recipes/serve/recordings.py --manifest s1_test.jsonl --output recordings

Joins one to three clips of a manifest each, as WAV.
"""

from __future__ import annotations

import argparse
import wave
from pathlib import Path

import numpy as np

from avsr.manifest import read_manifest
from avsr_frontends.media import read_audio

_RATE = 16_000  # Hz


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--number", type=int, default=30)
    options = parser.parse_args()
    clips = [read_audio(one.path) for one in read_manifest(options.manifest)]
    options.output.mkdir(parents=True, exist_ok=True)
    place = 0
    for number in range(options.number):
        n_clips = 1 + number % 3
        parts = [clips[(place + part) % len(clips)] for part in range(n_clips)]
        place += n_clips
        _write(options.output / f"{number:03d}.wav", np.concatenate(parts))


def _write(path: Path, waveform: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((32767 * np.clip(waveform, -1, 1)).astype("<i2").tobytes())


if __name__ == "__main__":
    main()

"""Make the demo's babble: python recipes/synthetic/demo_babble.py --out FILE.ogg

Eight synthetic voices of the test split talk at once, each at the same power, for ten seconds.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import av
import numpy as np
from clips import say
from sentences import grid_sentences, grid_spoken
from speech import SAMPLE_RATE
from voices import sample_voice

_SEED = 411
_TALKERS = 8
_DURATION_S = 10
_BIT_RATE = 32_000  # bits per second: transparent for 16 kHz mono in Opus
_PEAK = 0.8


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Make the demo's babble.")
    parser.add_argument("--out", type=Path, default=Path("demo/avsr_demo/assets/babble.ogg"))
    path: Path = parser.parse_args().out
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = _babble(_DURATION_S * SAMPLE_RATE)
    samples *= _PEAK / float(np.abs(samples).max())
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE)
        stream.layout = "mono"
        stream.bit_rate = _BIT_RATE
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _babble(n_samples: int) -> np.ndarray:
    """The sum of the talkers, each without pauses, float32 [N]."""
    rng = random.Random(_SEED)
    sentences = grid_sentences("test", rng)
    total = np.zeros(n_samples, np.float32)
    for _ in range(_TALKERS):
        voice = sample_voice("test", rng)
        talk = np.zeros(0, np.float32)
        while len(talk) < n_samples:
            words = next(sentences)
            speech = say(words, voice, rng, spoken=grid_spoken(words))
            first, last = speech.words[0], speech.words[-1]
            spoken = speech.samples[
                round(first.start * SAMPLE_RATE) : round(last.end * SAMPLE_RATE)
            ]
            talk = np.concatenate([talk, spoken])
        total += talk[:n_samples] / float(np.sqrt(np.mean(talk[:n_samples] ** 2)))
    return total


if __name__ == "__main__":
    main()

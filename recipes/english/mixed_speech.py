"""What ``english`` says of files that mix languages: which passages it doubts.

    python recipes/english/mixed_speech.py --speech SPEECH --voices runs/other_voices

reads all of ``native_test`` joined with pauses, and six times eight sentences of it around three
Italian announcements (``other_voices.py``); prints the warnings, and when what was doubted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shards import read_shard
from sound import level

import avsr
from avsr.manifest import read_manifest
from avsr_frontends.media import read_audio
from avsr_frontends.rates import SAMPLE_RATE

N_FILES, N_AROUND, N_FOREIGN = 6, 4, 3
PAUSE_S = (1.0, 2.0)
LEVEL, FLOOR = 0.1, 0.001  # root mean square of speech and of the pauses


@dataclass(frozen=True)
class Joined:
    """A file: sound [N] float32, and when the foreign clips are in it, in seconds."""

    sound: np.ndarray
    foreign: list[tuple[float, float]]


def join(clips: Sequence[tuple[np.ndarray, bool]], rng: np.random.Generator) -> Joined:
    """Clips, each with whether it is foreign, after pauses of faint noise."""
    pieces: list[np.ndarray] = []
    foreign: list[tuple[float, float]] = []
    n_samples = 0
    for clip, is_foreign in clips:
        pause = FLOOR * rng.standard_normal(round(SAMPLE_RATE * rng.uniform(*PAUSE_S)))
        start, n_samples = n_samples + len(pause), n_samples + len(pause) + len(clip)
        pieces += [pause, LEVEL * clip / level(clip)]
        if is_foreign:
            foreign.append((start / SAMPLE_RATE, n_samples / SAMPLE_RATE))
    return Joined(np.concatenate(pieces).astype(np.float32), foreign)


def show(recognizer: avsr.Recognizer, name: str, joined: Joined) -> None:
    """Read a file and print what is doubted in it."""
    result = recognizer.transcribe(joined.sound)
    doubted = [
        one for one in result.segments if one.readability is not None and one.readability < 0.5
    ]
    print(f"\n{name}: {result.duration_s:.0f} s, {len(result.segments)} segments")
    print("foreign:", *(f"{start:.1f}-{end:.1f}" for start, end in joined.foreign))
    print("doubted:", *(f"{one.start:.1f}-{one.end:.1f}" for one in doubted))
    print(*result.warnings, sep="\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", required=True, type=Path, help="folder of native_test.jsonl")
    parser.add_argument("--voices", required=True, type=Path, help="what other_voices.py made")
    args = parser.parse_args()
    recognizer = avsr.load("english")
    rng = np.random.default_rng(0)
    english = [
        (read_audio(utterance.path), False)
        for utterance in read_manifest(args.speech / "native_test.jsonl")
    ]
    italian = [
        (values / 32768, True)
        for values in read_shard(args.voices / "test" / "other" / "recorded it.npz").values
    ]
    show(recognizer, "native_test", join(english, rng))
    for number in range(N_FILES):
        before, between = 2 * N_AROUND * number, N_FOREIGN * number
        after = before + N_AROUND
        clips = [
            *english[before:after],
            *italian[between : between + N_FOREIGN],
            *english[after : after + N_AROUND],
        ]
        show(recognizer, f"mixed {number + 1}", join(clips, rng))


if __name__ == "__main__":
    main()

"""Real recordings into shards of sound: python recipes/english/recordings.py --manifest F --out DIR

Each clip as it is and, with ``--copies``, so many times more in another condition (vocal tract,
room, microphone, noise), its babble made of other clips of the manifest.
"""

import argparse
import json
from pathlib import Path

import av
import numpy as np
from shards import write_shard
from sound import SAMPLE_RATE, change_tract, disturb
from speak import PER_SHARD, read_noise

NOISY_SHARE = 0.5


def read_sound(file: Path) -> np.ndarray:
    """[N] float32 at 16 kHz, mono."""
    with av.open(str(file)) as container:
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--copies", type=int, default=0)
    args = parser.parse_args()
    records = [json.loads(line) for line in args.manifest.read_text().split("\n") if line]
    clips = [read_sound(args.manifest.parent / record["path"]) for record in records]
    texts, recordings = [record["text"] for record in records], read_noise(args.noise)
    for copy in range(args.copies + 1):
        for start in range(0, len(clips), PER_SHARD):
            name = f"{args.manifest.stem}_{copy}_{start // PER_SHARD:02d}"
            file = args.out / f"{name}.npz"
            if file.exists():
                continue
            rng = np.random.default_rng(list(name.encode()))
            chosen = clips[start : start + PER_SHARD]
            if copy:
                bent = [change_tract(clip, rng.uniform(0.88, 1.15)) for clip in chosen]
                chosen = [disturb(clip, clips, recordings, rng, NOISY_SHARE) for clip in bent]
            values = [np.rint(clip.clip(-1, 1) * 32767).astype(np.int16) for clip in chosen]
            write_shard(file, values, texts[start : start + PER_SHARD])


if __name__ == "__main__":
    main()

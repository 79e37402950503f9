"""Real recordings into shards of sound: python recipes/english/recordings.py --manifest F --out DIR

Each clip as it is and, with ``--copies``, so many times more in another condition (vocal tract,
room, microphone, noise), its babble made of other clips of the manifest. With ``--babble-db``
every clip is in the babble of ``avsr evaluate`` at that ratio.
"""

import argparse
from pathlib import Path

import numpy as np
from shards import write_shard
from sound import change_tract, disturb
from speak import PER_SHARD, read_noise

from avsr.manifest import Utterance, read_manifest
from avsr.noise import Babble, mix_at_snr
from avsr_frontends.media import read_audio

NOISY_SHARE = 0.5


def in_babble(
    utterances: list[Utterance], clips: list[np.ndarray], snr_db: float
) -> list[np.ndarray]:
    """Each clip in the voices of others, as loud as it may be in -1..1."""
    read = dict(zip((utterance.id for utterance in utterances), clips, strict=True))
    babble = Babble(others=utterances, read=lambda other: read[other.id], seed=0)
    noisy = [
        mix_at_snr(clip, babble.for_utterance(utterance, len(clip)), snr_db)
        for utterance, clip in zip(utterances, clips, strict=True)
    ]
    return [clip / max(1.0, float(np.abs(clip).max())) for clip in noisy]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--copies", type=int, default=0)
    parser.add_argument("--babble-db", type=float, help="signal-to-noise ratio")
    args = parser.parse_args()
    utterances = read_manifest(args.manifest)
    clips = [read_audio(utterance.path) for utterance in utterances]
    if args.babble_db is not None:
        clips = in_babble(utterances, clips, args.babble_db)
    texts, recordings = [utterance.text for utterance in utterances], read_noise(args.noise)
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

"""Encode shards of sound once: python recipes/english/features.py --sound DIR --out DIR

Writes ``NAME.npz`` with the encoder's output of every clip (float16) and, with ``--drafts``,
``NAME.drafts.json``. What is there is not made again; shards are taken as they appear.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from shards import read_shard, write_shard
from whisper_draft import WhisperReader

BATCH = 16


def encode_shard(reader: WhisperReader, source: Path, target: Path, drafts: bool) -> float:
    """Encode one shard; the seconds of sound in it."""
    shard = read_shard(source)
    order = np.argsort([len(clip) for clip in shard.values])
    features: list[np.ndarray] = [np.zeros(0)] * len(order)
    texts = [""] * len(order)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        encoded = reader.encode([shard.values[row] / np.float32(32767) for row in rows])
        drafted = reader.draft(encoded) if drafts else [""] * len(rows)
        for row, own, text in zip(rows, encoded, drafted, strict=True):
            features[row], texts[row] = own.half().numpy(), text
    if drafts:
        target.with_suffix(".drafts.json").write_text(json.dumps(texts))
    write_shard(target, features, shard.texts)
    return sum(map(len, shard.values)) / 16000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sound", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--whisper", required=True, type=Path)
    parser.add_argument("--pattern", default="*.npz")
    parser.add_argument("--drafts", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    reader = WhisperReader(args.whisper)
    while True:
        missing = [f for f in sorted(args.sound.glob(args.pattern)) if not (args.out / f.name).exists()]
        if not missing:
            break
        began = time.time()
        seconds = encode_shard(reader, missing[0], args.out / missing[0].name, args.drafts)
        speed = seconds / (time.time() - began)
        print(json.dumps({"shard": missing[0].name, "left": len(missing) - 1, "x": round(speed)}), flush=True)


if __name__ == "__main__":
    main()

"""Encode shards of sound once: python recipes/english/features.py --sound DIR --out DIR

Writes ``NAME.npz`` with the encoder's output of every clip (float16). With ``--drafts`` it writes
``NAME.drafts.json`` instead, Whisper's own reading of the features that are there. What is there
is not made again; shards are taken as they appear.
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


def batches(lengths: list[int]) -> list[np.ndarray]:
    """Rows of clips of like lengths."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def encode_shard(reader: WhisperReader, source: Path, target: Path) -> None:
    """Encode one shard of sound."""
    shard = read_shard(source)
    features: list[np.ndarray] = [np.zeros(0)] * len(shard.values)
    for rows in batches([len(clip) for clip in shard.values]):
        encoded = reader.encode([shard.values[row] / np.float32(32767) for row in rows])
        for row, own in zip(rows, encoded, strict=True):
            features[row] = own.half().numpy()
    write_shard(target, features, shard.texts)


def draft_shard(reader: WhisperReader, source: Path, target: Path) -> None:
    """Draft one shard of features."""
    shard = read_shard(source)
    drafts = [""] * len(shard.values)
    for rows in batches([len(clip) for clip in shard.values]):
        texts = reader.draft([torch.from_numpy(shard.values[row]).float() for row in rows])
        for row, text in zip(rows, texts, strict=True):
            drafts[row] = text
    part = target.with_name(f"{target.name}.part")
    part.write_text(json.dumps(drafts))
    part.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sound", type=Path, help="shards of sound; not needed with --drafts")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--whisper", required=True, type=Path)
    parser.add_argument("--drafts", action="store_true")
    parser.add_argument("--pattern", default="*.npz")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    reader = WhisperReader(args.whisper)
    source, work = (args.out, draft_shard) if args.drafts else (args.sound, encode_shard)
    suffix = ".drafts.json" if args.drafts else ".npz"
    while True:
        files = [(f, args.out / f"{f.stem}{suffix}") for f in sorted(source.glob(args.pattern))]
        missing = [(file, target) for file, target in files if not target.exists()]
        if not missing:
            break
        began = time.time()
        work(reader, *missing[0])
        took = round(time.time() - began, 1)
        print(
            json.dumps({"shard": missing[0][0].name, "left": len(missing) - 1, "s": took}),
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Encode distorted clips once with the frozen encoders, for the many trainings of ``sinks``.

    python recipes/grid/cache_features.py --model DIR --corpora DIR DIR --shares 0.6 0.4 \\
        --babble DIR --out DIR --chunks 40

Each chunk is a file of clips of one length; chunks that exist are kept, so a run resumes.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from corpus import load_corpus
from fusion import encode, text_labels
from pairs import PairSampler
from train_encoder import load_noise

from avsr import AvsrForConditionalGeneration, AvsrProcessor

CHUNK = 384  # clips
BATCH = 32
CLEAN_SHARE = 0.25  # of the batches


def encode_chunk(
    model: AvsrForConditionalGeneration,
    processor: AvsrProcessor,
    sampler: PairSampler,
    number: int,
    shares: list[float],
) -> dict[str, np.ndarray]:
    """Features [U, T, W] float16 of both streams and labels [U, L] of one chunk."""
    strength = 0.0 if number % round(1 / CLEAN_SHARE) == 0 else 1.0
    rows: dict[str, list] = {"audio": [], "video": [], "labels": []}
    for index in range(CHUNK // BATCH):
        step = number * 1000 + index
        batch = sampler.draw(step, BATCH, shares, strength, length_seed=number)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            streams = encode(model, batch)
        for encoded in streams.present:
            rows[encoded.stream].append(encoded.features.half())
        rows["labels"].append(text_labels(processor, batch.texts))
    return {name: torch.cat(values).numpy() for name, values in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--corpora", nargs="+", required=True)
    parser.add_argument("--shares", nargs="+", type=float, required=True)
    parser.add_argument("--babble", nargs="*", default=[])
    parser.add_argument("--noise")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--part", type=int, default=0, help="of --parts, to share the work")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    model = AvsrForConditionalGeneration.from_pretrained(args.model)
    processor = AvsrProcessor.from_pretrained(args.model)
    noise = load_noise(args.noise, [load_corpus(folder) for folder in args.babble])
    sampler = PairSampler([load_corpus(f) for f in args.corpora], noise, args.seed + 2)
    began = time.time()
    for number in range(args.part, args.chunks, args.parts):
        path = args.out / f"chunk_{number:03d}.npz"
        if path.exists():
            continue
        arrays = encode_chunk(model, processor, sampler, number, args.shares)
        with open(path.with_suffix(".part"), "wb") as file:
            np.savez(file, **arrays)
        path.with_suffix(".part").replace(path)
        print(f"{path.name} after {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()

"""Encode clean development clips once: python recipes/grid/sinks/dev_features.py (by run.py)."""

import argparse
from pathlib import Path

import numpy as np
import torch
from corpus import load_corpus
from fusion import encode
from pairs import PairSampler

from avsr import AvsrForConditionalGeneration

BATCH = 25


@torch.no_grad()
def encode_corpus(model: AvsrForConditionalGeneration, folder: str, limit: int) -> dict:
    """Features [U, T, W] float16 of both streams and the texts of the first clips."""
    corpus = load_corpus(folder)
    sampler = PairSampler([corpus], None, 0)
    rows: dict[str, list] = {"audio": [], "video": [], "texts": []}
    n_clips = min(limit, len(corpus))
    for start in range(0, n_clips, BATCH):
        batch = sampler.clean(list(range(start, min(start + BATCH, n_clips))))
        streams = encode(model, batch)
        for encoded in streams.present:
            rows[encoded.stream].append(encoded.features.half().numpy())
        rows["texts"].append(np.array(batch.texts))
    return {name: np.concatenate(values) for name, values in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dev", nargs="+", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--clips", type=int, default=50, help="of each corpus")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    model = AvsrForConditionalGeneration.from_pretrained(args.model).eval()
    for folder in args.dev:
        path = args.out / f"{Path(folder).name}.npz"
        if not path.exists():
            with open(path.with_suffix(".part"), "wb") as file:
                np.savez(file, **encode_corpus(model, folder, args.clips))
            path.with_suffix(".part").replace(path)


if __name__ == "__main__":
    main()

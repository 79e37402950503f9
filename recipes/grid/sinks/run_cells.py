"""Train and measure every cell of the miniature experiment: called by run.py, resumes by cell.

A cell trains projectors and LoRA on cached features: a batch a step, read from lips and from sound
and lips, at one pair of rates drawn per step (Matryoshka) or always the same (fixed). The last
weights are measured; nothing is chosen. Same seed, same machine, one thread: same numbers.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cell_dev import DevClips, measure_cell
from cell_model import build_cell_model

from avsr import AvsrForConditionalGeneration, AvsrProcessor, EncodedStreams
from avsr.atomic import write_text_atomically
from avsr.sinks.experiment import Cell, Experiment, learning_rate, load_experiment

LOG_EVERY = 20


def load_chunks(folder: Path, n_chunks: int) -> list[dict[str, np.ndarray]]:
    """The first chunks of cached features."""
    chunks = []
    for path in sorted(folder.glob("chunk_*.npz"))[:n_chunks]:
        with np.load(path) as arrays:
            chunks.append({name: arrays[name] for name in arrays})
    if not chunks:
        raise FileNotFoundError(f"{folder} holds no chunks: run cache_features.py first")
    return chunks


def train_cell(
    model: Any,
    cell: Cell,
    experiment: Experiment,
    chunks: list[dict[str, np.ndarray]],
    settings: argparse.Namespace,
) -> list[dict[str, float]]:
    """Train in place; returns a line of losses now and then."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.05)
    model.train()
    lines, recent = [], []
    for step in range(settings.steps):
        generator = np.random.default_rng((cell.seed, step, 11))
        chunk = chunks[generator.integers(len(chunks))]
        rows = generator.choice(len(chunk["labels"]), settings.batch_size, replace=False)
        audio_rate, video_rate = (
            int(generator.choice(rates)) for rates in (cell.rates("audio"), cell.rates("video"))
        )
        pair = (audio_rate, video_rate)
        audio, video = (torch.from_numpy(chunk[s][rows]).float() for s in ("audio", "video"))
        streams = EncodedStreams.whole(audio=audio, video=video)
        labels = torch.from_numpy(chunk["labels"][rows])
        with torch.autocast("cpu", torch.bfloat16):
            loss, values = _loss(model, experiment, streams, labels, pair, cell.weight)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps, settings.learning_rate)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        recent.append(values)
        if (step + 1) % LOG_EVERY == 0 or step + 1 == settings.steps:
            names = {name for values in recent for name in values}
            means = {n: float(np.mean([v[n] for v in recent if n in v])) for n in sorted(names)}
            lines.append({"step": step + 1, **{n: round(v, 5) for n, v in means.items()}})
            recent = []
    return lines


def _loss(
    model: Any,
    experiment: Experiment,
    streams: EncodedStreams,
    labels: torch.Tensor,
    pair: tuple[int, int],
    weight: float,
) -> tuple[torch.Tensor, dict[str, float]]:
    total, values = torch.zeros(()), {}
    for modality in experiment.modalities:
        output = model(
            streams=streams,
            modality=modality,
            audio_rate=pair[0],
            video_rate=pair[1],
            labels=labels,
            decorrelation_layers="paper" if weight else None,
            logits_to_keep=labels.shape[1] + 1,
        )
        loss = output.loss
        values[f"ce_{modality}"] = loss.item()
        if output.decorrelation_loss is not None:
            loss = loss + weight * output.decorrelation_loss
            values[f"cos_{modality}"] = output.decorrelation_loss.item()
        total = total + loss / len(experiment.modalities)
    return total, values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--definition", required=True, type=Path)
    parser.add_argument("--model", required=True, help="polished model of recipes/grid")
    parser.add_argument("--features", required=True, type=Path)
    parser.add_argument("--dev-features", required=True, type=Path)
    parser.add_argument("--language-model", required=True, type=Path)
    parser.add_argument("--no-bos-language-model", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--only", nargs="*", help="names of cells; default: all")
    parser.add_argument("--chunks", type=int, default=6, help="that are read; each of 384 clips")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    experiment = load_experiment(args.definition, "miniature")
    polished = AvsrForConditionalGeneration.from_pretrained(args.model)
    processor = AvsrProcessor.from_pretrained(args.model)
    chunks, clips = load_chunks(args.features, args.chunks), DevClips(args.dev_features, processor)
    settings = {"steps": args.steps, "batch": args.batch_size, "lr": args.learning_rate}
    for cell in experiment.cells:
        path = args.out / f"{cell.name}.json"
        if args.only and cell.name not in args.only:
            continue
        if path.exists():
            if json.loads(path.read_text())["settings"] != settings:
                sys.exit(f"{path}: was trained with other settings; give another --out")
            continue
        began = time.process_time()
        folder = args.language_model if cell.bos else args.no_bos_language_model
        model = build_cell_model(cell, polished, folder)
        log = train_cell(model, cell, experiment, chunks, args)
        rows = measure_cell(model, processor, cell, experiment, clips)
        results = {"cell": asdict(cell), "settings": settings, "log": log, "rows": rows}
        write_text_atomically(path, json.dumps(results) + "\n")
        print(f"{cell.name}: {time.process_time() - began:.0f} CPU seconds", flush=True)


if __name__ == "__main__":
    main()

"""Train and measure every cell of the experiment: called by run.py, resumes by cell.

    python recipes/english/sinks/train_cells.py --train DIR --dev DIR --out DIR
        [--definition lips.yaml --train-lips DIR --dev-lips DIR]

Every cell begins with the bundled English model's projectors and fresh LoRA in its frozen language
model, and trains both: clips of like lengths at one rate a stream and step, drawn (Matryoshka; the
two streams' apart) or always the same (fixed), with no draft. The last weights are measured and
kept; nothing is chosen here. Cells are taken seed by seed, so that a stopped run is a smaller
experiment.
"""

import argparse
import json
import sys
import time
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cell_clips import CellClips, read_clips
from cell_measures import measure
from safetensors.torch import save_file
from torch import Tensor

from avsr import AvsrForConditionalGeneration, AvsrProcessor, Route
from avsr.atomic import write_text_atomically
from avsr.model_files.bundled import bundled_models
from avsr.sinks.experiment import Cell, learning_rate, load_experiment
from avsr.trained_route import trained_route

HERE = Path(__file__).parent
POOL = 8  # batches that one of clips of like lengths is cut out of


def model_folder(name: str) -> Path:
    """The folder of a bundled model, or the folder that is named."""
    bundled = bundled_models()
    return bundled[name].folder if name in bundled else Path(name)


class Start:
    """The bundled model, brought back to where every cell begins.

    Args:
        folder: of the model.
    """

    def __init__(self, folder: Path) -> None:
        self.model: Any = AvsrForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        parts = (self.model.audio_projector, self.model.video_projector)
        self._projectors = [(part, deepcopy(part.state_dict())) for part in parts if part]

    def begin(self, seed: int) -> Any:
        """The model with its own projectors and with LoRA that does nothing yet."""
        self.model.unfold_lora()
        for part, state in self._projectors:
            part.load_state_dict(state)
        torch.manual_seed(seed)
        for layer in self.model.lora.layers:
            for name in self.model.lora.names:
                layer.reset_lora_parameters(name, True)
        return self.model


def trained_parameters(model: Any, cell: Cell) -> dict[str, Tensor]:
    """LoRA and the projectors of the streams that a cell reads, by name."""
    streams = [stream for stream in ("audio", "video") if cell.rates(stream)]
    projectors = tuple(f"{stream}_projector." for stream in streams)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if ".lora_" in name or name.startswith(projectors)
    }


def routes_of(model: Any, cell: Cell) -> list[Route]:
    """What a cell is measured at."""
    return [route_of(model, *pair) for pair in cell.rate_pairs]


def route_of(model: Any, audio: int | None, video: int | None) -> Route:
    """The rates with the modality that follows from them."""
    modality = "audio" if video is None else "video" if audio is None else "av"
    return trained_route(model.config, modality, audio, video)


def draw_route(model: Any, cell: Cell, drawn: int) -> Route:
    """The rates of a step, those of the two streams independent of each other."""
    audio, video = cell.rates("audio"), cell.rates("video")
    return route_of(
        model,
        audio[drawn % len(audio)] if audio else None,
        video[(drawn >> 15) % len(video)] if video else None,
    )


def draw_rows(clips: CellClips, size: int, rng: np.random.Generator) -> list[int]:
    """Random clips of like lengths."""
    pool = rng.choice(len(clips), min(len(clips), POOL * size), replace=False)
    pool = sorted(pool.tolist(), key=lambda row: (len(clips.features[row]), row))
    start = int(rng.integers(max(1, len(pool) - size + 1)))
    return pool[start : start + size]


def gradient_share(text: Tensor, weighted: Tensor, parameters: list[Tensor]) -> dict[str, float]:
    """How much of a step's gradient is the decorrelation loss's.

    Returns:
        text_gradient: norm of the texts' gradient.
        decorrelation_gradient: norm of the weighted loss's.
        share: the second over the sum of both.
        likeness: cosine between the two.
    """
    flat = []
    for loss in (text, weighted):
        grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        flat.append(
            torch.cat([
                (torch.zeros_like(p) if g is None else g).flatten()
                for p, g in zip(parameters, grads, strict=True)
            ])
        )  # fmt: skip
    norms = [float(each.norm()) for each in flat]
    return {
        "text_gradient": round(norms[0], 5),
        "decorrelation_gradient": round(norms[1], 5),
        "share": round(norms[1] / max(sum(norms), 1e-12), 5),
        "likeness": round(float(torch.dot(*flat)) / max(norms[0] * norms[1], 1e-12), 5),
    }


def train_cell(
    model: Any, cell: Cell, clips: CellClips, settings: argparse.Namespace
) -> list[dict[str, float]]:
    """Train in place; returns a line of losses for each step."""
    trained = trained_parameters(model, cell)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    parameters = list(trained.values())
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=0.01)
    lines = []
    model.train()
    for step in range(settings.steps):
        rng = np.random.default_rng((cell.seed, step, 17))
        rows = draw_rows(clips, settings.batch_size, rng)
        drawn = int(rng.integers(1 << 30))  # the same clips whatever the cell's rates are
        route = draw_route(model, cell, drawn)
        streams, labels = clips.batch(rows)
        output = model(
            streams=streams,
            route=route,
            labels=labels,
            decorrelation_layers=cell.layers,
            logits_to_keep=labels.shape[1] + 1,
        )
        weighted = cell.weight * output.decorrelation_loss
        line = {
            "step": step + 1,
            "rates": route.text,
            "text": round(output.loss.item(), 5),
            "decorrelation": round(output.decorrelation_loss.item(), 6),
        }
        if cell.weight and step in (0, settings.steps // 2, settings.steps - 1):
            line |= gradient_share(output.loss, weighted, parameters)
        loss = output.loss + weighted if cell.weight else output.loss
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps, settings.learning_rate)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--definition", type=Path, default=HERE / "experiment.yaml")
    parser.add_argument("--model", default="english", help="bundled model, or folder of one")
    parser.add_argument("--train", required=True, type=Path, help="folder of features")
    parser.add_argument("--dev", required=True, type=Path, help="folder of features")
    parser.add_argument("--train-lips", type=Path, help="folder of features of lips")
    parser.add_argument("--dev-lips", type=Path, help="folder of features of lips")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--only", nargs="*", help="names of cells; default: all")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = model_folder(args.model)
    processor = AvsrProcessor.from_pretrained(folder)
    end = int(processor.tokenizer.eos_token_id)
    train = read_clips(args.train, processor.tokenizer, end, args.train_lips)
    dev = read_clips(args.dev, processor.tokenizer, end, args.dev_lips)
    settings = {"steps": args.steps, "batch": args.batch_size, "lr": args.learning_rate,
                "train_clips": len(train), "dev_clips": len(dev)}  # fmt: skip
    cells = sorted(load_experiment(args.definition, "small").cells, key=lambda cell: cell.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    start = Start(folder)
    for cell in cells:
        path = args.out / f"{cell.name}.json"
        if args.only and cell.name not in args.only:
            continue
        if path.exists():
            if json.loads(path.read_text())["settings"] != settings:
                sys.exit(f"{path}: was trained with other settings; give another --out")
            continue
        began = time.process_time()
        model = start.begin(cell.seed)
        log = train_cell(model, cell, train, args)
        trained = {name: value.detach() for name, value in trained_parameters(model, cell).items()}
        save_file(trained, path.with_suffix(".safetensors"))
        spent = time.process_time() - began
        model.eval()
        rows = [measure(model, processor, dev, route) for route in routes_of(model, cell)]
        results = {"cell": asdict(cell), "settings": settings, "log": log, "rows": rows}
        write_text_atomically(path, json.dumps(results) + "\n")
        total = time.process_time() - began
        print(f"{cell.name}: {spent:.0f} of {total:.0f} CPU seconds in training", flush=True)


if __name__ == "__main__":
    main()

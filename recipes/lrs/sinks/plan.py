"""The joint experiment on LRS3: list its runs with their cost, run them, collect the results.

    python recipes/lrs/sinks/plan.py recipes/lrs/sinks/llama-3.2-1b.yaml
    python recipes/lrs/sinks/plan.py recipes/lrs/sinks/llama-3.2-1b.yaml --run --gpus 8
    python recipes/grid/sinks/tables.py --work runs/lrs3/sinks/1b --out runs/lrs3/sinks/1b

``--run`` trains, measures on the development talks and looks for sinks, run by run; given again, it
goes on where it stopped. Several machines: ``--only`` with other names on each.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from avsr.atomic import write_text_atomically
from avsr.sinks.experiment import Cell, Experiment, load_experiment
from avsr.text import count_word_errors, normalise
from avsr.training.settings_file import TrainConfig, load_settings

DEFINITION = Path(__file__).parents[2] / "grid" / "sinks" / "experiment.yaml"
DEV = "data/lrs3/sinks-dev.jsonl"
SINK_CLIPS = 40  # development clips that are searched for sinks

# Cost model: 2 operations per weight and frame or token forward; backward as much again, twice for
# LoRA inside a frozen model. LRS3 without its test set has 433 h.
SPEECH_H = 433
ENCODER_WEIGHTS = {"audio": 307e6, "video": 325e6 + 300e6}  # the second counts ResNet per frame
LANGUAGE_MODEL_WEIGHTS = {"1b": 1.24e9, "3b": 3.21e9}
FRAMES_PER_S = {"audio": 50, "video": 25}
TEXT_TOKENS_PER_S = 5  # with the prompt
GPU_OPERATIONS_PER_S = 1.5e14  # reached on an H100 in bf16 with short sequences; a guess


def overrides(cell: Cell, base: TrainConfig) -> list[str]:
    """Settings of ``avsr train`` that make the base file this cell."""
    audio_rates, video_rates = cell.rates("audio"), cell.rates("video")
    norm = str(cell.layer_norm).lower()
    return [
        f"output={base.output}/{cell.name}",
        f"seed={cell.seed}",
        f"model.audio_rates={audio_rates}",
        f"model.video_rates={video_rates}",
        f"objective.decorrelation.weight={cell.weight:g}",
        f"model.audio_projector_layer_norm={norm}",
        f"model.video_projector_layer_norm={norm}",
    ]


def gpu_hours(cell: Cell, size: str, epochs: float) -> float:
    """A guess from the cost model above."""
    per_second = 0.0
    for stream, weights in ENCODER_WEIGHTS.items():
        per_second += 2 * weights * FRAMES_PER_S[stream]
    tokens = []
    for audio, video in cell.rate_pairs:
        sound, lips = (
            FRAMES_PER_S[stream] / rate if rate else 0.0
            for stream, rate in (("audio", audio), ("video", video))
        )
        tokens.append(2 * (lips + TEXT_TOKENS_PER_S) + sound)  # a video and an av pass
    per_second += 6 * LANGUAGE_MODEL_WEIGHTS[size] * float(np.mean(tokens))
    return per_second * SPEECH_H * 3600 * epochs / GPU_OPERATIONS_PER_S / 3600


def run(cell: Cell, args: argparse.Namespace, base: TrainConfig, experiment: Experiment) -> None:
    """Train, measure and write the cell's results, unless they are there."""
    folder = Path(base.output) / cell.name
    results = Path(base.output) / "cells" / f"{cell.name}.json"
    if results.exists():
        return
    launch = ["accelerate", "launch", "--num_processes", str(args.gpus), "-m", "avsr"]
    _call([*launch, "train", str(args.base), *overrides(cell, base)])
    model, rows = str(folder / "model"), []
    clips = [_clip(line) for line in Path(DEV).read_text().splitlines()[:SINK_CLIPS]]
    for audio, video in cell.rate_pairs:
        rates = ["--audio-rate", str(audio), "--video-rate", str(video)]
        wer, sinks = folder / f"dev-a{audio}v{video}.json", folder / f"sinks-a{audio}v{video}"
        avsr = [sys.executable, "-m", "avsr"]
        modalities = ["--modality", ",".join(experiment.modalities)]
        common = ["--model", model, *rates]
        _call([*avsr, "evaluate", *common, "--manifest", DEV, *modalities, "--output", str(wer)])
        for modality in experiment.modalities:
            place = f"{sinks}-{modality}"
            searched = ["sinks", *clips, *common, "--modality", modality, "-o", place, "--no-maps"]
            _call([*avsr, *searched])
            found = json.loads((Path(place) / "sinks.json").read_text())
            rows.append(collect(json.loads(wer.read_text()), found, modality))
    results.parent.mkdir(parents=True, exist_ok=True)
    values = {"cell": asdict(cell), "settings": {"base": str(args.base)}, "rows": rows}
    write_text_atomically(results, json.dumps(values) + "\n")


def _call(command: list[str]) -> None:
    print("$", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True)


def _clip(line: str) -> str:
    return str(Path(DEV).parent / json.loads(line)["path"])


def collect(wer: dict[str, Any], sinks: dict[str, Any], modality: str) -> dict[str, Any]:
    """One row of the tables from ``avsr evaluate`` and ``avsr sinks``.

    Args:
        wer: results of one rate pair.
        sinks: ``sinks.json`` of the same rates and one modality.
        modality: which.
    """
    index, row = next((i, r) for i, r in enumerate(wer["rows"]) if r["modality"] == modality)
    errors = [
        count_word_errors([normalise(u["reference"])], [normalise(u["hypotheses"][index])])
        for u in wer["utterances"]
    ]
    described = [_describe(item) for item in sinks["inputs"]]
    means = {k: round(float(np.mean([d[k] for d in described])), 5) for k in described[0]}
    return {
        "corpus": "lrs3-dev",
        "modality": modality,
        "audio_rate": row["audio_rate"],
        "video_rate": row["video_rate"],
        "variant": "plain",
        "errors": [e.n_errors for e in errors],
        "n_words": [e.n_words for e in errors],
        **means,
    }


def _describe(item: dict[str, Any]) -> dict[str, float]:
    """The statistics of ``recipes/grid/sinks/sink_counts.py`` from one analysed clip."""
    n_layers = item["n_layers"]
    prefix = [i for i, token in enumerate(item["tokens"]) if token["kind"] != "text"]
    later = {s["index"]: [n for n in s["layers"] if n > 1] for s in item["sinks"]}
    others = {i: layers for i, layers in later.items() if i and i in prefix and layers}
    peaks = np.array(item["peak_over_median"])[1:, prefix].max(axis=0)
    cosines = np.array(item["cosine_to_first"])[2:n_layers][:, prefix[1:]]
    return {
        "first_attention": float(np.array(item["received_attention"])[1:, 0].mean()),
        "first_is_sink": len(later.get(0, [])) / (n_layers - 1),
        "other_sinks": sum(map(len, others.values())) / (n_layers - 1),
        "other_sink_tokens": float(len(others)),
        "peak": float(peaks.max()),
        "peak_others": float(peaks[1:].max()),
        "cosine": float(np.square(cosines).mean()),
        "cosine_abs": float(np.abs(cosines).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="llama-3.2-1b.yaml or llama-3.2-3b.yaml")
    parser.add_argument("--definition", type=Path, default=DEFINITION)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--only", nargs="*", help="names of cells; default: all")
    parser.add_argument("--gpus", type=int, default=1)
    args = parser.parse_args()
    base, experiment = load_settings(args.base), load_experiment(args.definition, "lrs3")
    size = args.base.stem.rpartition("-")[2]
    total = 0.0
    for cell in experiment.cells:
        if args.only and cell.name not in args.only:
            continue
        hours = gpu_hours(cell, size, base.optimizer.epochs)
        total += hours
        if args.run:
            run(cell, args, base, experiment)
        else:
            print(f"# {cell.name}: about {hours:.0f} GPU hours")
            print("avsr train", args.base, *(f"'{item}'" for item in overrides(cell, base)))
    print(f"# together about {total:.0f} GPU hours", file=sys.stderr)


if __name__ == "__main__":
    main()

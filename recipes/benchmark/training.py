"""How quickly models train on this machine: ``avsr train`` for a few steps, and what its log says.

    python recipes/benchmark/training.py --manifest s1_dev/manifest.jsonl --threads 1,2
    python recipes/benchmark/training.py --manifest s1_dev/manifest.jsonl \\
        --random llama-3.2-1b,whisper-medium,avhubert-large --layers 2 [KEY=VALUE ...]

trains the bundled model, or one of published sizes with random weights, on the clips of a manifest
that ``avsr prepare`` has made, in a process of its own for each number of threads. KEY=VALUE are
settings of ``avsr train``. The first part of every run warms up and is not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from avsr import AvsrProcessor
from avsr.benchmark.sizes import random_model

BUNDLED = "grid-tiny"
WARM_UP_LINES = 2  # of the log
STEPS_A_LINE = 2


def write_random_model(names: str, layers: int | None, folder: Path) -> Path:
    """A model folder of published sizes; its texts are spelt by the bundled model's tokenizer."""
    import avsr

    model = random_model(names, layers=layers, device="cpu").model
    bundled = Path(avsr.__file__).parent / "bundled" / BUNDLED
    tokenizer = AvsrProcessor.from_pretrained(bundled).tokenizer
    model.save_pretrained(folder)
    AvsrProcessor.from_config(model.config, tokenizer).save_pretrained(folder)
    return folder


def settings_of(manifest: Path, model: str | Path, steps: int, output: Path) -> list[str]:
    """Settings of a run that only trains: nothing is chosen, one checkpoint is written."""
    return [
        f"output={output}",
        f"init.model={model}",
        f"data.train=[{manifest.resolve()}]",
        "batch.max_frames=600",  # eight clips of three seconds
        "augmentation.noise=[babble]",
        f"optimizer.max_steps={steps}",
        f"checkpoint.every={steps}",
        f"checkpoint.log_every={STEPS_A_LINE}",
    ]


def measure(settings: list[str], threads: int, folder: Path) -> dict[str, float]:
    """Train in a process of its own; medians of the log's lines after the warm-up.

    Returns:
        clip_s_per_s: seconds of clips in a second; tokens_per_s: tokens that the language model
        reads in a second, over all passes; peak_memory_gb: of the process, or of its GPU.

    Raises:
        RuntimeError: the run failed; its own message has been shown.
    """
    empty = folder / "settings.yaml"
    empty.write_text("{}\n")
    environment = dict(os.environ) | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "avsr", "train", str(empty), *settings]
    if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode:
        raise RuntimeError("avsr train failed, see above")
    output = next(item for item in settings if item.startswith("output=")).partition("=")[2]
    lines = [json.loads(line) for line in (Path(output) / "log.jsonl").open()]
    return summary([line for line in lines if "clip_s_per_s" in line])


def summary(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Medians of the lines of a log after the warm-up."""
    counted = lines[WARM_UP_LINES:]
    if not counted:
        raise RuntimeError(f"too short a run: give --steps {STEPS_A_LINE * (WARM_UP_LINES + 1)}")

    def median(name: str) -> float:
        return statistics.median(line[name] for line in counted)

    return {name: median(name) for name in ("clip_s_per_s", "tokens_per_s")} | {
        "peak_memory_gb": max(line["peak_memory_gb"] for line in lines)
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    header = "| model | threads | seconds of clips a second | tokens a second | memory |\n"
    lines = [
        f"| {row['model']} | {row['threads']} | {row['clip_s_per_s']:.1f} "
        f"| {row['tokens_per_s']:.0f} | {row['peak_memory_gb']:.2f} GB |\n"
        for row in rows
    ]
    return header + "|---|---|---|---|---|\n" + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="of avsr train")
    parser.add_argument("--manifest", required=True, type=Path, help="made by avsr prepare")
    parser.add_argument("--random", help="sizes, as for avsr bench; default: the bundled model")
    parser.add_argument("--layers", type=int, help="with --random: layers of every part")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", default="1", help="list of numbers of threads")
    parser.add_argument("--output", type=Path, help="also write the numbers as JSON")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder, model, shown = Path(name), BUNDLED, BUNDLED
        if args.random:
            model = write_random_model(args.random, args.layers, folder / "model")
            shown = args.random + (f", {args.layers} layers of each" if args.layers else "")
        for threads in map(int, args.threads.split(",")):
            run = folder / f"run_{threads}"
            settings = [*settings_of(args.manifest, model, args.steps, run), *args.settings]
            rows.append({"model": shown, "threads": threads} | measure(settings, threads, folder))
    print(table(rows), end="")
    if args.output:
        args.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

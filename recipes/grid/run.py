"""Train grid-tiny from nothing to a model folder: python recipes/grid/run.py --grid DIR --work DIR

Every stage is a script of this folder and resumes by itself; run the same command again after a
stop. ``--grid`` holds the clips and manifests of GRID that README.md describes; without it the
model learns from synthetic speech and faces alone.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
GENERATE = HERE.parent / "synthetic" / "generate.py"
PREPARE = HERE / "prepare.py"
SYNTHETIC_SETS = (  # folder, split, clips, kind
    ("syn_audio_train", "train", 8000, "audio"),
    ("syn_audio_dev", "dev", 200, "audio"),
    ("syn_av_train", "train", 2400, "crops"),
    ("syn_av_dev", "dev", 200, "crops"),
)
GRID_SETS = ("s1_train", "s1_dev")


def call(script: Path, *words: str, **options: object) -> None:
    """Run a script of the recipes with ``--options``; stop everything if it fails."""
    command = [sys.executable, str(script), *words]
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        command += [f"--{name.replace('_', '-')}", *map(str, values)]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    environment = {
        # Keep large buffers: giving them back to the system costs a tenth of the time on a CPU.
        "MALLOC_MMAP_THRESHOLD_": "4000000000",
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
    } | dict(os.environ)
    subprocess.run(command, check=True, env=environment)


def make_data(work: Path, grid: Path | None, jobs: int, scale: float) -> None:
    """Synthetic speech, synthetic faces and, where there are any, GRID's clips."""
    for name, split, full, kind in SYNTHETIC_SETS:
        size = max(8, round(full * scale))
        call(GENERATE, f"--{kind}", out=work / name, split=split, n=size, jobs=jobs)
    if grid is not None:
        times = grid / "alignments.tsv"
        for name in GRID_SETS:
            manifest = grid / f"{name}.jsonl"
            call(PREPARE, manifest=manifest, alignments=times, out=work / name, jobs=jobs)


def train(work: Path, grid: Path | None, noise: Path | None, threads: int, scale: float) -> None:
    """Encoders, language model, all together, then adapters on frozen parts."""
    real = [work / "s1_train"] if grid else []
    dev = [work / "s1_dev"] if grid else []
    sound = {"babble": work / "syn_audio_train"} | ({"noise": noise} if noise else {})

    def shares(of_real: float) -> list[float]:
        return [of_real, round(1 - of_real, 2)] if grid else [1.0]

    def length(full: int) -> dict[str, int]:
        return {"steps": max(10, round(full * scale)), "threads": threads}

    call(HERE / "train_language_model.py", out=work / "language_model", **length(1000))
    call(
        HERE / "train_encoder.py", "audio", out=work / "audio", shares=shares(0.45),
        corpora=[*real, work / "syn_audio_train"], dev=[*dev, work / "syn_audio_dev"],
        **sound, **length(3000),
    )  # fmt: skip
    both = [*real, work / "syn_av_train"]
    both_dev = [*dev, work / "syn_av_dev"]
    call(
        HERE / "train_encoder.py", "video", out=work / "video", shares=shares(0.75),
        corpora=both, first=len(real), dev=both_dev, **length(1550),
    )  # fmt: skip
    call(
        HERE / "polish.py", out=work / "polish", language_model=work / "language_model",
        audio=work / "audio", video=work / "video", corpora=both, shares=shares(0.6),
        dev=both_dev, **sound, **length(880),
    )  # fmt: skip
    polished = work / "polish" / "model"
    features = work / "features"
    call(
        HERE / "cache_features.py", out=features, model=polished, corpora=both,
        shares=shares(0.55), chunks=max(2, round(22 * scale)), **sound,
    )  # fmt: skip
    call(
        HERE / "train_adapters.py", out=work / "adapters", model=polished, features=features,
        dev=both_dev, **length(300),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path, help="folder for everything made")
    parser.add_argument("--grid", type=Path, help="folder with s1_train.jsonl, s1_dev.jsonl, ...")
    parser.add_argument("--noise", type=Path, help="folder of 16 kHz noise recordings (.flac)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of data and steps; below 1: a try"
    )
    args = parser.parse_args()
    make_data(args.work, args.grid, args.threads, args.scale)
    train(args.work, args.grid, args.noise, args.threads, args.scale)
    print(f"the model is in {args.work / 'adapters' / 'model'}")


if __name__ == "__main__":
    main()

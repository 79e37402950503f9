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
SYNTHETIC = HERE.parent / "synthetic" / "generate.py"
GRID_SETS = ("s1_train", "s1_dev")


def call(script: Path, *arguments: object) -> None:
    """Run a script of the recipes; stop everything if it fails."""
    command = [sys.executable, str(script), *map(str, arguments)]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    environment = {
        # Keep large buffers: giving them back to the system costs a tenth of the time on a CPU.
        "MALLOC_MMAP_THRESHOLD_": "4000000000",
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
    } | dict(os.environ)
    subprocess.run(command, check=True, env=environment)


def make_data(work: Path, grid: Path | None, jobs: int, scale: float) -> None:
    """Synthetic speech, synthetic faces and, where there are any, GRID's clips."""
    sets = (
        ("syn_audio_train", "train", 8000, "--audio"),
        ("syn_audio_dev", "dev", 200, "--audio"),
        ("syn_av_train", "train", 2400, "--crops"),
        ("syn_av_dev", "dev", 200, "--crops"),
    )
    for name, split, count, kind in sets:
        number = max(8, round(count * scale))
        call(SYNTHETIC, "--out", work / name, "--split", split, "--n", number, "--jobs", jobs, kind)
    for name in GRID_SETS if grid else ():
        call(
            HERE / "prepare.py",
            "--manifest",
            grid / f"{name}.jsonl",
            "--alignments",
            grid / "alignments.tsv",
            "--out",
            work / name,
            "--jobs",
            jobs,
        )


def train(work: Path, grid: Path | None, noise: Path | None, threads: int, scale: float) -> None:
    """Encoders, language model, all together, then adapters on frozen parts."""

    def steps(full: int) -> list[object]:
        return ["--steps", max(10, round(full * scale)), "--threads", threads]

    real = [work / "s1_train"] if grid else []
    dev = [work / "s1_dev"] if grid else []
    babble = ["--babble", work / "syn_audio_train", *(["--noise", noise] if noise else [])]
    call(HERE / "train_language_model.py", "--out", work / "language_model", *steps(1000))
    call(
        HERE / "train_encoder.py",
        "audio",
        "--corpora",
        *real,
        work / "syn_audio_train",
        "--shares",
        *((0.45, 0.55) if grid else (1.0,)),
        "--dev",
        *dev,
        work / "syn_audio_dev",
        *babble,
        "--out",
        work / "audio",
        *steps(3500),
    )
    call(
        HERE / "train_encoder.py",
        "video",
        "--corpora",
        *real,
        work / "syn_av_train",
        "--shares",
        *((0.75, 0.25) if grid else (1.0,)),
        "--first",
        len(real),
        "--dev",
        *dev,
        work / "syn_av_dev",
        "--out",
        work / "video",
        *steps(2400),
    )
    both = [
        "--corpora",
        *real,
        work / "syn_av_train",
        "--shares",
        *((0.7, 0.3) if grid else (1.0,)),
    ]
    devs = ["--dev", *dev, work / "syn_av_dev"]
    call(
        HERE / "polish.py",
        "--language-model",
        work / "language_model",
        "--audio",
        work / "audio",
        "--video",
        work / "video",
        *both,
        *devs,
        *babble,
        "--out",
        work / "polish",
        *steps(500),
    )
    call(
        HERE / "cache_features.py",
        "--model",
        work / "polish" / "model",
        *both,
        *babble,
        "--out",
        work / "features",
        "--chunks",
        max(2, round(32 * scale)),
    )
    call(
        HERE / "train_adapters.py",
        "--model",
        work / "polish" / "model",
        "--features",
        work / "features",
        *devs,
        "--out",
        work / "adapters",
        *steps(1200),
    )


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

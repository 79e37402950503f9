"""Train grid-tiny from nothing to a model folder: python recipes/grid/run.py --grid DIR --work DIR

Every stage is a script of this folder and resumes by itself; run the same command again after a
stop. ``--grid`` holds the clips and manifests of GRID that README.md describes; without it the
model learns from synthetic speech and faces alone.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
GENERATE = HERE.parent / "synthetic" / "generate.py"
REVOICE = HERE / "revoice.py"
SYNTHETIC_SETS = (  # folder, split, seed, clips, kind
    ("syn_audio_train", "train", 0, 8000, "audio"),
    ("syn_audio_dev", "dev", 0, 200, "audio"),
    ("syn_av_train", "train", 0, 2400, "crops"),
    ("syn_av_more", "train", 31, 3600, "crops"),
    ("syn_av_dev", "dev", 0, 200, "crops"),
)
GRID_SETS = ("s1_train", "s1_dev")
ADAPTER_CLIPS = 6000  # of all corpora together, for the last stage


def call(script: Path, *words: str, **options: object) -> None:
    """Run a script of the recipes with ``--options``; stop everything if it fails."""
    command = [sys.executable, str(script), *words]
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        command += [f"--{name.replace('_', '-')}", *map(str, values)]
    run(command)


def avsr(*words: object) -> None:
    """Run a command of ``avsr``; stop everything if it fails."""
    run([sys.executable, "-m", "avsr", *map(str, words)])


def run(command: list[str]) -> None:
    """Run a process and show its command line."""
    print("$", " ".join(command), file=sys.stderr, flush=True)
    environment = {
        # Keep large buffers: giving them back to the system costs a tenth of the time on a CPU.
        "MALLOC_MMAP_THRESHOLD_": "4000000000",
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
    } | dict(os.environ)
    subprocess.run(command, check=True, env=environment)


def make_data(work: Path, grid: Path | None, jobs: int, scale: float) -> None:
    """Synthetic speech, synthetic faces and, where there are any, GRID's clips."""
    for name, split, seed, full, kind in SYNTHETIC_SETS:
        size = max(8, round(full * scale))
        call(GENERATE, f"--{kind}", out=work / name, split=split, seed=seed, n=size, jobs=jobs)
    if grid is not None:
        times = grid / "alignments.tsv"
        for name in GRID_SETS:
            clips = work / f"{name}_clips"
            avsr("prepare", grid / f"{name}.jsonl", "-o", clips, "--jobs", jobs)
            call(HERE / "collect.py", clips=clips, alignments=times, out=work / name)
        call(REVOICE, corpus=work / "s1_train", out=work / "s1_voices", voices=6, jobs=jobs)


def train(work: Path, grid: Path | None, noise: Path | None, threads: int, scale: float) -> None:
    """Encoders, language model, all together, then adapters on frozen parts."""
    real = [work / "s1_train"] if grid else []
    voices = [work / "s1_voices"] if grid else []
    dev = [work / "s1_dev"] if grid else []
    speech, lips = work / "syn_audio_train", [work / "syn_av_train", work / "syn_av_more"]
    sound = {"babble": speech} | ({"noise": noise} if noise else {})

    def mixture(corpora: list[Path], *shares: float) -> dict[str, list]:
        kept = shares[-len(corpora) :]  # without GRID the first corpora are missing
        return {"corpora": corpora, "shares": [round(share / sum(kept), 4) for share in kept]}

    def length(full: int) -> int:
        return max(10, round(full * scale))

    def encoder(stream: str, steps: int, restart_at: int, **options: object) -> None:
        call(
            HERE / "train_encoder.py", stream, out=work / stream, steps=length(steps),
            restart_at=length(restart_at) if restart_at else 0, threads=threads, **options,
        )  # fmt: skip

    call(
        HERE / "train_language_model.py", out=work / "language_model", steps=length(1000),
        threads=threads,
    )  # fmt: skip
    hear = {"dev": [*dev, work / "syn_audio_dev"], **sound}
    encoder("audio", 3000, 0, **mixture([*real, speech], 0.45, 0.55), **hear)
    encoder("audio", 7500, 3000, **mixture([*real, *voices, speech], 0.2, 0.35, 0.45), **hear)
    both_dev = [*dev, work / "syn_av_dev"]
    first = mixture([*real, lips[0]], 0.75, 0.25) | {"first": len(real)}
    encoder("video", 1550, 0, **first, dev=both_dev)
    encoder("video", 3750, 1550, **mixture([*real, *lips], 0.45, 0.22, 0.33), dev=both_dev)
    both = mixture([*real, *voices, *lips], 0.25, 0.25, 0.2, 0.3)
    call(
        HERE / "polish.py", out=work / "polish", language_model=work / "language_model",
        audio=work / "audio", video=work / "video", dev=both_dev, steps=length(1000),
        threads=threads, **both, **sound,
    )  # fmt: skip
    counts = [max(8, round(ADAPTER_CLIPS * scale * share)) for share in both["shares"]]
    train_adapters(work, dict(zip(both["corpora"], counts, strict=True)), both_dev, noise, length)


def train_adapters(
    work: Path,
    corpora: dict[Path, int],
    dev: list[Path],
    noise: Path | None,
    length: Callable[[int], int],
) -> None:
    """The last stage, by ``avsr train``: so many clips of each corpus, on frozen encoders."""
    clips, dev_clips = work / "adapter_clips", work / "adapter_dev_clips"
    export = HERE / "export_clips.py"
    call(export, corpora=list(corpora), counts=list(corpora.values()), out=clips)
    call(export, corpora=dev, counts=[200] * len(dev), out=dev_clips)
    noises = ["babble", *sorted(map(str, noise.glob("*.flac")))] if noise else ["babble"]
    steps = length(300)
    avsr(
        "train", HERE / "adapters.yaml", f"output={work / 'adapters'}",
        f"init.model={work / 'polish' / 'model'}", f"data.train=[{clips / 'manifest.jsonl'}]",
        f"data.dev={dev_clips / 'manifest.jsonl'}", f"augmentation.noise=[{', '.join(noises)}]",
        f"optimizer.max_steps={steps}", f"checkpoint.every={max(1, steps // 3)}",
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

"""The experiment on the English model from one command, which resumes when it is given again.

    python recipes/english/sinks/run.py --data DATA --work DIR

``DATA`` holds ``speech/speechocean_{train,dev,test}.jsonl`` as for ``recipes/english/run.py``.
Sound is encoded once; then come the cells on the development clips, the test clips for what was
chosen on these, and the tables. See README.md.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import av

from avsr.atomic import write_text_atomically
from avsr.model_files.base_fetching import fetch_bases
from avsr.model_files.base_packages import BASE_PACKAGES
from avsr.model_files.places import base_store

HERE = Path(__file__).parent
SETS = {"train": 320, "dev": 64, "test": 120}  # clips of each, spread over its speakers
LONGEST_S = 3.5


def call(script: Path, *words: object) -> None:
    """Run a script; it finds those of ``recipes/english`` as well."""
    command = [sys.executable, str(script), *map(str, words)]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    subprocess.run(command, check=True, env=environment)


def write_subset(manifest: Path, target: Path, most: int) -> None:
    """Short clips from all over a manifest, as a manifest elsewhere; kept where it is there."""
    if target.exists():
        return
    clips = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for clip in clips:
        clip["path"] = str((manifest.parent / clip["path"]).resolve())
    short = [clip for clip in clips if duration_s(clip["path"]) <= LONGEST_S]
    n_chosen = min(most, len(short))
    chosen = [short[number * len(short) // n_chosen] for number in range(n_chosen)]
    lines = "".join(f"{json.dumps(clip)}\n" for clip in chosen)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(target, lines)


def duration_s(path: str) -> float:
    """What the file says of its length."""
    with av.open(path) as container:
        return (container.duration or 0) / av.time_base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder with speech/")
    parser.add_argument("--work", required=True, type=Path, help="folder for everything made")
    parser.add_argument("--only", nargs="*", default=[], help="names of cells; default: all")
    args = parser.parse_args()
    work = args.work
    fetch_bases(BASE_PACKAGES, say=lambda line: print(line, file=sys.stderr, flush=True))
    whisper = base_store() / "whisper-tiny.en"
    for name, most in SETS.items():
        manifest = work / f"{name}.jsonl"
        write_subset(args.data / "speech" / f"speechocean_{name}.jsonl", manifest, most)
        sound, features = work / name / "sound", work / name / "features"
        call(HERE.parent / "recordings.py", "--manifest", manifest, "--out", sound)
        call(HERE.parent / "features.py", "--sound", sound, "--out", features, "--whisper", whisper)
    cells, clips = work / "cells", ["--train", work / "train" / "features"]
    clips += ["--dev", work / "dev" / "features"]
    call(HERE / "train_cells.py", *clips, "--out", cells, *_only(args.only))
    call(HERE / "test_cells.py", "--cells", cells, "--test", work / "test" / "features")
    dev, test = work / "dev" / "features", work / "test" / "features"
    call(HERE / "before_after.py", "--features", dev, "--out", work / "before_after.json")
    for name, features in (("dev", dev), ("test", test)):
        call(HERE / "training_free.py", "--features", features, "--out", work / f"free_{name}.json")
    call(HERE / "cell_tables.py", "--work", work)


def _only(names: list[str]) -> list[str]:
    return ["--only", *names] if names else []


if __name__ == "__main__":
    main()

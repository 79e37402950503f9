"""The experiment on the English model from one command, which resumes when it is given again.

    python recipes/english/sinks/run.py --data DATA --work DIR

``DATA`` is that of ``recipes/english/run.py``, and ``speech/speechocean_test.jsonl``. Stages come
in the order of their worth: sound is encoded once; cells on the development clips; test clips for
what was chosen on these; what needs no training, clean and in babble; the same of films; tables.
See README.md.
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
from avsr.model_files.bundled import BUNDLED_ALWAYS, bundled_models
from avsr.model_files.places import base_store

HERE = Path(__file__).parent
SETS = {"train": 320, "dev": 64, "test": 80}  # clips of each, spread over its speakers
FILMS = {"train": 128, "dev": 48, "test": 80}  # the same of clips with lips
HELD_OUT = "s31"  # speaker of films that the reader was not trained on
FREE_CLIPS = 32  # development clips read without training
LONGEST_S = 3.5


def call(script: Path | str, *words: object) -> None:
    """Run a script, or a command of avsr; scripts find those of ``recipes/english`` as well."""
    program = ["-m", "avsr", script] if isinstance(script, str) else [str(script)]
    command = [sys.executable, *program, *map(str, words)]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    subprocess.run(command, check=True, env=environment)


def write_subset(manifest: Path, target: Path, most: int, speaker: str | None = None) -> None:
    """Short clips from all over a manifest, as a manifest elsewhere; kept where it is there.

    Args:
        manifest: JSON lines.
        target: what is written.
        most: clips.
        speaker: whose they are; anybody's for None.
    """
    if target.exists():
        return
    clips = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for clip in clips:
        clip["path"] = str((manifest.parent / clip["path"]).resolve())
    own = [clip for clip in clips if speaker in (None, clip["speaker"])]
    short = [clip for clip in own if duration_s(clip["path"]) <= LONGEST_S]
    n_chosen = min(most, len(short))
    chosen = [short[number * len(short) // n_chosen] for number in range(n_chosen)]
    lines = "".join(f"{json.dumps(clip)}\n" for clip in chosen)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(target, lines)


def duration_s(path: str) -> float:
    """What the file says of its length."""
    with av.open(path) as container:
        return (container.duration or 0) / av.time_base


def encode_sound(manifest: Path, folder: Path, *more: object) -> Path:
    """Encoder features of the clips of a manifest."""
    sound = folder / "sound"
    call(HERE.parent / "recordings.py", "--manifest", manifest, "--out", sound, *more)
    return encode(sound, folder / "features")


def encode(sound: Path, features: Path) -> Path:
    """Encoder features of shards of sound."""
    whisper = base_store() / "whisper-tiny.en"
    call(HERE.parent / "features.py", "--sound", sound, "--out", features, "--whisper", whisper)
    return features


def encode_films(prepared: Path, folder: Path, voices: Path, kind: str) -> tuple[Path, Path]:
    """Features of sound and of lips of one kind of copies, see ``lips.py``."""
    lips, sound = folder / "lips", folder / "sound"
    others = [json.loads(line)["path"] for line in voices.read_text().splitlines()]
    call(
        HERE.parent / "lips.py", "--model", bundled_models()[BUNDLED_ALWAYS].folder,
        "--name", folder.name, "--clips", prepared, "--kinds", kind, "--sound", sound,
        "--lips", lips, "--voices", *others[::4],
    )  # fmt: skip
    return encode(sound, folder / "features"), lips


def run_sound(data: Path, work: Path, only: list[str]) -> None:
    """All that is heard."""
    sets = {}
    for name, most in SETS.items():
        manifest = work / f"{name}.jsonl"
        write_subset(data / "speech" / f"speechocean_{name}.jsonl", manifest, most)
        sets[name] = encode_sound(manifest, work / name)
    clips = ["--train", sets["train"], "--dev", sets["dev"]]
    chosen = ["--only", *only] if only else []
    call(HERE / "train_cells.py", *clips, "--out", work / "cells", *chosen)
    call(HERE / "test_cells.py", "--cells", work / "cells", "--test", sets["test"],
         "--out", work / "tests")  # fmt: skip
    babble = encode_sound(work / "dev.jsonl", work / "dev_babble", "--babble-db", 0)
    for name, features in (("dev", sets["dev"]), ("dev_babble", babble)):
        target = ["--out", work / f"free_{name}.json", "--clips", FREE_CLIPS]
        call(HERE / "training_free.py", "--features", features, *target)
    out = work / "before_after.json"
    call(HERE / "before_after.py", "--features", sets["dev"], "--out", out)


def run_lips(data: Path, work: Path) -> None:
    """All that is heard and seen; cells in noise and distorted, as the reader was trained."""
    sets, voices = {}, work / "train.jsonl"
    for name, most in FILMS.items():
        manifest, folder = work / f"lips_{name}.jsonl", work / f"lips_{name}"
        write_subset(data / "grid" / f"s1_{name}.jsonl", manifest, most)
        call("prepare", manifest, "-o", folder / "prepared", "--jobs", 1)
        sets[name] = encode_films(folder / "prepared", folder, voices, "changed")
    clips = [
        word
        for name in ("train", "dev")
        for word in (f"--{name}", sets[name][0], f"--{name}-lips", sets[name][1])
    ]
    cells = work / "lips_cells"
    call(HERE / "train_cells.py", "--definition", HERE / "lips.yaml", *clips, "--out", cells)
    test, test_lips = sets["test"]
    call(
        HERE / "test_cells.py", "--cells", cells, "--test", test, "--test-lips", test_lips,
        "--out", work / "lips_tests",
    )  # fmt: skip
    features, lips = sets["dev"]
    call(
        HERE / "before_after.py", "--features", features, "--lips", lips,
        "--routes", "A4 V2", "A16 V5", "V2", "V5", "--clips", FILMS["dev"],
        "--out", work / "lips_before_after.json",
    )  # fmt: skip
    unseen, folder = work / f"{HELD_OUT}.jsonl", work / HELD_OUT
    write_subset(data / "grid" / "more.jsonl", unseen, FREE_CLIPS, HELD_OUT)
    call("prepare", unseen, "-o", folder / "prepared", "--jobs", 1)
    for name, target in (("lips_dev", "lips_free"), (HELD_OUT, f"{HELD_OUT}_free")):
        for kind in ("plain", "babble"):
            prepared, copies = work / name / "prepared", work / f"{name}_{kind}"
            features, lips = encode_films(prepared, copies, voices, kind)
            call(
                HERE / "training_free.py", "--features", features, "--lips", lips, "--routes",
                "A4 V2", "--out", work / f"{target}_{kind}.json", "--clips", FREE_CLIPS,
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder with speech/ and grid/")
    parser.add_argument("--work", required=True, type=Path, help="folder for everything made")
    parser.add_argument(
        "--only", nargs="*", default=[], help="names of cells of sound; default: all"
    )
    args = parser.parse_args()
    fetch_bases(BASE_PACKAGES, say=lambda line: print(line, file=sys.stderr, flush=True))
    run_sound(args.data, args.work, args.only)
    run_lips(args.data, args.work)
    call(HERE / "cell_tables.py", "--work", args.work)


if __name__ == "__main__":
    main()

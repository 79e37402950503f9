"""The miniature experiment from one command, which resumes when it is given again.

    python recipes/grid/sinks/run.py --model POLISHED --features DIR --dev DIR DIR --work DIR

POLISHED is ``polish/model`` of a run of ``recipes/grid/run.py``, ``--dev`` are its development
sets, and ``--features`` is what ``recipes/grid/cache_features.py`` made with POLISHED. Then
``python recipes/grid/sinks/tables.py --work DIR`` draws the tables.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LANGUAGE_MODELS = {  # name: options of pretrain.py; the curve shows them all
    "4x128": [],
    "4x128-no-bos": ["--no-bos"],
    "4x128-sentences": ["--text-share", "0"],
    "2x128": ["--layers", "2"],
    "8x128": ["--layers", "8"],
    "4x64": ["--width", "64"],
    "4x256": ["--width", "256"],
}
USED, USED_WITHOUT_BOS = "4x128", "4x128-no-bos"


def call(script: str, *words: object) -> None:
    """Run a script of this folder; it finds those of ``recipes/grid`` as well."""
    command = [sys.executable, str(HERE / script), *map(str, words)]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    subprocess.run(command, check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="polished model")
    parser.add_argument("--features", required=True, help="folder of chunk_*.npz")
    parser.add_argument("--dev", nargs="+", required=True, help="prepared development sets")
    parser.add_argument("--work", required=True, type=Path, help="folder for everything made")
    parser.add_argument("--definition", type=Path, default=HERE / "experiment.yaml")
    parser.add_argument("--language-models", nargs="*", default=list(LANGUAGE_MODELS))
    parser.add_argument("--pretraining-steps", type=int, default=3000)
    parser.add_argument("--pretraining-batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=[], help="names of cells; default: all")
    args = parser.parse_args()
    models = args.work / "language_models"
    pretraining = ["--steps", args.pretraining_steps, "--batch-size", args.pretraining_batch]

    def pretrain(name: str) -> None:
        options = LANGUAGE_MODELS[name]
        call("pretrain.py", "--model", args.model, "--out", models / name, *options, *pretraining)

    for name in (USED, USED_WITHOUT_BOS):
        pretrain(name)
    dev_features = args.work / "dev_features"
    call("dev_features.py", "--model", args.model, "--dev", *args.dev, "--out", dev_features)
    call(
        "run_cells.py", "--definition", args.definition, "--model", args.model,
        "--features", args.features, "--dev-features", dev_features,
        "--language-model", models / USED,
        "--no-bos-language-model", models / USED_WITHOUT_BOS,
        "--out", args.work / "cells", "--steps", args.steps, "--batch-size", args.batch_size,
        *(["--only", *args.only] if args.only else []),
    )  # fmt: skip
    for name in args.language_models:  # those that only the curve needs
        pretrain(name)


if __name__ == "__main__":
    main()

"""Short training runs on a tiny corpus, for the tests of training."""

import os
from pathlib import Path
from typing import Any

import yaml

import avsr
from avsr.training.run_folder import RunFolder

ROOT = Path(__file__).parents[1]


def settings(corpus: Path, model: Path, output: Path, **changes: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "output": str(output),
        "device": "cpu",
        "init": {"model": str(model)},
        "data": {"train": [str(corpus / "train.jsonl")], "dev": str(corpus / "dev.jsonl")},
        "batch": {"max_frames": 60},
        "augmentation": {"noise": ["babble"], "snr_db": [10, 20], "video_mask": False},
        "optimizer": {"learning_rate": "3e-3", "max_steps": 8},
        "checkpoint": {"every": 4, "log_every": 1, "average": 2},
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        tree.setdefault(section, {})[key] = value
    return tree


def run(tree: dict[str, Any], folder: Path) -> RunFolder:
    """Train by settings; the log is in the run's folder."""
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(tree))
    avsr.train(avsr.load_settings(path))
    return RunFolder(tree["output"])


def losses(folder: RunFolder) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in folder.log() if "loss" in line}


def environment() -> dict[str, str]:
    """For a process that imports this checkout and runs on one thread."""
    folders = [str(ROOT / name) for name in (".", "frontends", "adapters", "demo")]
    path = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}

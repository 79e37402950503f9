"""Shards: many clips in one file, as sound or as features, with their texts.

A shard of sound is ``NAME.npz``: ``sound`` int16 [sum of N] at 16 kHz, ``ends`` [clips] where each
clip stops, ``texts``. It is written whole or not at all, so that what is there can be trusted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPOILT = "_spoilt_"  # in names of shards of films whose lips alone cannot be read


def weighted_folders(given: Sequence[str]) -> list[tuple[Path, float]]:
    """Folders given as ``DIR`` or ``DIR=WEIGHT``, with their weights."""
    parts = [each.partition("=") for each in given]
    return [(Path(folder), float(weight or 1)) for folder, _, weight in parts]


@dataclass(frozen=True)
class Shard:
    """Clips in memory: ``values[i]`` is [N] int16 of sound or [T, W] float16 of features."""

    values: list[np.ndarray]
    texts: list[str]


def write_shard(file: Path, values: Sequence[np.ndarray], texts: Sequence[str]) -> None:
    """Write clips of one kind."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    with open(part, "wb") as stream:
        np.savez(
            stream,
            values=np.concatenate(list(values)),
            ends=np.cumsum([len(value) for value in values]),
            texts=np.frombuffer(json.dumps(list(texts)).encode(), np.uint8),
        )
    part.replace(file)


def read_shard(file: Path) -> Shard:
    """Read what :func:`write_shard` wrote."""
    with np.load(file) as arrays:
        values = np.split(arrays["values"], arrays["ends"][:-1])
        return Shard(values, json.loads(arrays["texts"].tobytes()))

"""Batches for the language model: features of sound, texts, and drafts for some of them.

A folder of features holds ``NAME.npz`` and, where there are, ``NAME.drafts.json``: texts that
Whisper's own decoder made of the same clips, in order.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from shards import Shard, read_shard
from torch.nn.utils.rnn import pad_sequence

from avsr import EncodedStreams
from avsr.model_parts.streams import EncodedStream
from avsr.text import spoken_form

DRAFT_SHARES = {"own": 0.6, "none": 0.25, "foreign": 0.15}
MAX_FRAMES = 500  # encoder frames of a clip that is trained on


@dataclass(frozen=True)
class Batch:
    """Clips.

    Attributes:
        streams: their sound.
        texts: what was said.
        drafts: what Whisper made of each; None for no draft.
    """

    streams: EncodedStreams
    texts: list[str]
    drafts: list[str | None]


class Source:
    """The shards of one folder.

    Args:
        folder: of features.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[Path, tuple[Shard, list[str | None]]] = {}

    def draw(self, rng: Generator, size: int) -> Batch:
        """A random batch of clips of like lengths, their drafts by :data:`DRAFT_SHARES`."""
        files = sorted(self.folder.glob("*.npz"))
        shard, drafts = self._load(files[rng.integers(len(files))])
        fit = [row for row, value in enumerate(shard.values) if len(value) <= MAX_FRAMES]
        pool = sorted(
            rng.permutation(fit)[: 8 * size].tolist(), key=lambda row: len(shard.values[row])
        )
        start = int(rng.integers(max(1, len(pool) - size + 1)))
        rows = pool[start : start + size]
        kinds = rng.choice(list(DRAFT_SHARES), size=len(rows), p=list(DRAFT_SHARES.values()))
        others = rng.integers(len(drafts), size=len(rows))
        own = {"own": rows, "foreign": others.tolist()}
        chosen = [
            None if kind == "none" else drafts[own[kind][place]] for place, kind in enumerate(kinds)
        ]
        return batch_of(shard, rows, chosen)

    def first(self, n_clips: int, size: int, drafted: bool) -> list[Batch]:
        """The first clips in order, with their own drafts or with none."""
        batches, left = [], n_clips
        for file in sorted(self.folder.glob("*.npz")):
            shard, drafts = self._load(file)
            rows = list(range(min(left, len(shard.texts))))
            left -= len(rows)
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                batches.append(
                    batch_of(shard, part, [drafts[i] if drafted else None for i in part])
                )
        return batches

    def _load(self, file: Path) -> tuple[Shard, list[str | None]]:
        if file not in self._loaded:
            shard, drafts = read_shard(file), file.with_suffix(".drafts.json")
            texts = json.loads(drafts.read_text()) if drafts.exists() else [""] * len(shard.texts)
            self._loaded[file] = shard, [spoken_form(text) or None for text in texts]
        return self._loaded[file]


def batch_of(shard: Shard, rows: list[int], drafts: list[str | None]) -> Batch:
    """Some clips of a shard."""
    values = [torch.from_numpy(shard.values[row].astype(np.float32)) for row in rows]
    sound = EncodedStream(
        stream="audio",
        features=pad_sequence(values, batch_first=True),
        lengths=torch.tensor([len(value) for value in values]),
    )
    return Batch(EncodedStreams(audio=sound), [shard.texts[row] for row in rows], drafts)

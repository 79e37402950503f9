"""Batches for the language model: features of sound, of lips or of both, texts and drafts.

A folder of features holds ``NAME.npz`` (sound), and where there are, ``NAME.drafts.json`` (texts
proposed by Whisper's own decoder) and ``NAME.video.npz`` (lips of the same clips, in order).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from shards import Shard, read_shard
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from avsr.text import spoken_form

DRAFT_SHARES = {"own": 0.6, "none": 0.25, "foreign": 0.15}


@dataclass(frozen=True)
class Batch:
    """Clips of one route.

    Attributes:
        audio: [B, T, W], or None; with its lengths [B].
        video: the same for lips.
        texts: what was said.
        drafts: what Whisper made of it; None for no draft.
    """

    audio: tuple[Tensor, Tensor] | None
    video: tuple[Tensor, Tensor] | None
    texts: list[str]
    drafts: list[str | None]


class Source:
    """The shards of one folder, growing while training runs.

    Args:
        folder: of features.
        mismatched: share of clips whose lips are somebody else's, where both are used.
    """

    def __init__(self, folder: Path, mismatched: float = 0.2) -> None:
        self.folder, self.mismatched = folder, mismatched
        self.loaded: dict[Path, tuple[Shard, Shard | None, list[str | None]]] = {}

    def files(self) -> list[Path]:
        return sorted(f for f in self.folder.glob("*.npz") if not f.name.endswith(".video.npz"))

    def load(self, file: Path) -> tuple[Shard, Shard | None, list[str | None]]:
        """Sound, lips and drafts of a shard."""
        if file not in self.loaded:
            sound, lips = read_shard(file), file.with_suffix(".video.npz")
            drafts = file.with_suffix(".drafts.json")
            texts = json.loads(drafts.read_text()) if drafts.exists() else [None] * len(sound.texts)
            self.loaded[file] = (
                sound,
                read_shard(lips) if lips.exists() else None,
                [None if text is None else spoken_form(text) for text in texts],
            )
        return self.loaded[file]

    def draw(self, rng: Generator, size: int, modality: str, max_frames: int = 500) -> Batch:
        """A random batch of clips of like lengths."""
        files = self.files()
        sound, lips, drafts = self.load(files[rng.integers(len(files))])
        fit = [i for i, value in enumerate(sound.values) if len(value) <= max_frames]
        pool = rng.permutation(fit)[: 8 * size]
        pool = sorted(pool.tolist(), key=lambda i: len(sound.values[i]))
        start = int(rng.integers(max(1, len(pool) - size + 1)))
        rows = pool[start : start + size]
        audio = video = None
        if modality != "video":
            audio = padded([sound.values[i] for i in rows])
        if modality != "audio" and lips is not None:
            seen = list(rows)
            if modality == "av":
                for place in np.flatnonzero(rng.random(len(rows)) < self.mismatched):
                    seen[place] = int(rng.integers(len(sound.values)))
            video = padded([lips.values[i] for i in seen])
        return Batch(
            audio,
            video,
            [sound.texts[i] for i in rows],
            [None if modality == "video" else self._draft(drafts, i, rng) for i in rows],
        )

    def _draft(self, drafts: list[str | None], row: int, rng: Generator) -> str | None:
        kind = rng.choice(list(DRAFT_SHARES), p=list(DRAFT_SHARES.values()))
        if kind == "none":
            return None
        return drafts[row if kind == "own" else int(rng.integers(len(drafts)))]


def padded(values: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """[B, T, W] float32 and [B] frames."""
    rows = [torch.from_numpy(value).float() for value in values]
    return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

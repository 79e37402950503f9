"""Clips of the experiment: encoder features and the tokens of what is said, with no draft."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reader_data import padded
from shards import read_shard
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from avsr import EncodedStreams
from avsr.tokenizer import plain_ids


@dataclass(frozen=True)
class CellClips:
    """Clips of one set.

    Attributes:
        features: [T, W] of each clip.
        texts: what is said, in lower-case words.
        ids: tokens of each text and of its end.
    """

    features: list[np.ndarray]
    texts: list[str]
    ids: list[list[int]]

    def __len__(self) -> int:
        return len(self.texts)

    def batch(self, rows: Sequence[int]) -> tuple[EncodedStreams, Tensor]:
        """Streams, and labels [B, L] padded with -100."""
        sound = padded("audio", [self.features[row] for row in rows])
        labels = [torch.tensor(self.ids[row]) for row in rows]
        return EncodedStreams(audio=sound), pad_sequence(labels, True, -100)

    def batches(self, size: int) -> list[list[int]]:
        """Rows of clips of like lengths."""
        order = np.argsort([len(value) for value in self.features], kind="stable").tolist()
        return [order[start : start + size] for start in range(0, len(order), size)]


def read_clips(folder: Path, tokenizer: Any, end: int) -> CellClips:
    """All clips of a folder of shards.

    Raises:
        FileNotFoundError: there are no shards.
    """
    features, texts = [], []
    for file in sorted(folder.glob("*.npz")):
        shard = read_shard(file)
        features += shard.values
        texts += [" ".join(text.split()) for text in shard.texts]
    if not features:
        raise FileNotFoundError(f"{folder} holds no shards of features: run features.py first")
    ids = [[*plain_ids(tokenizer, f" {text}"), end] for text in texts]
    return CellClips(features, texts, ids)

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

from avsr import EncodedStreams, Route
from avsr.tokenizer import plain_ids


@dataclass(frozen=True)
class CellClips:
    """Clips of one set.

    Attributes:
        features: [T, W] of each clip's sound.
        texts: what is said, in lower-case words.
        ids: tokens of each text and of its end.
        lips: [T, W] of each clip's lips; None for clips that are only heard.
    """

    features: list[np.ndarray]
    texts: list[str]
    ids: list[list[int]]
    lips: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def batch(self, rows: Sequence[int]) -> tuple[EncodedStreams, Tensor]:
        """Streams, and labels [B, L] padded with -100."""
        sound = padded("audio", [self.features[row] for row in rows])
        lips = None
        if self.lips is not None:
            lips = padded("video", [self.lips[row] for row in rows])
        labels = [torch.tensor(self.ids[row]) for row in rows]
        return EncodedStreams(audio=sound, video=lips), pad_sequence(labels, True, -100)

    def n_tokens(self, row: int, route: Route) -> dict[str, int]:
        """How many tokens of sound and of lips a clip becomes."""
        streams = {"audio": self.features, "video": self.lips}
        return {
            stream: max(1, len(values[row]) // (route.rate(stream) or 1))
            for stream in route.streams
            if (values := streams[stream]) is not None
        }

    def batches(self, size: int) -> list[list[int]]:
        """Rows of clips of like lengths."""
        order = np.argsort([len(value) for value in self.features], kind="stable").tolist()
        return [order[start : start + size] for start in range(0, len(order), size)]


def read_clips(folder: Path, tokenizer: Any, end: int, lips: Path | None = None) -> CellClips:
    """All clips of a folder of shards, with their lips where a folder of these is given.

    Raises:
        FileNotFoundError: there are no shards, or one has no lips.
    """
    features, texts, seen = [], [], []
    for file in sorted(folder.glob("*.npz")):
        shard = read_shard(file)
        features += shard.values
        seen += [] if lips is None else read_shard(lips / file.name).values
        texts += [" ".join(text.split()) for text in shard.texts]
    if not features:
        raise FileNotFoundError(f"{folder} holds no shards of features: run features.py first")
    ids = [[*plain_ids(tokenizer, f" {text}"), end] for text in texts]
    return CellClips(features, texts, ids, None if lips is None else seen)

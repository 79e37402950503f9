"""Batches for the language model: features of sound and of lips, texts, and drafts for some.

A folder of features holds ``NAME.npz`` and, where there are, ``NAME.drafts.json``: texts that
Whisper's own decoder made of the same clips, in order. A folder of lips holds features of lips
under the same names.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from shards import SPOILT, Shard, read_shard
from torch.nn.utils.rnn import pad_sequence

from avsr import EncodedStreams
from avsr.model_parts.streams import EncodedStream
from avsr.route import Modality, Stream
from avsr.text import spoken_form

NO_DRAFT = 0.3  # share of batches without drafts
FOREIGN_DRAFT = 0.12  # share of drafts that are somebody else's
FOREIGN_LIPS = 0.15  # share of clips with somebody else's lips, where sound is there too
MAX_FRAMES = 400  # encoder frames of a clip that is trained on


@dataclass(frozen=True)
class Batch:
    """Clips.

    Attributes:
        streams: their sound, and their lips where there are.
        texts: what was said.
        drafts: what Whisper made of each; None for no draft.
    """

    streams: EncodedStreams
    texts: list[str]
    drafts: list[str | None]


@dataclass(frozen=True)
class Clips:
    """The shards of one name: sound, lips where there are, drafts (None where there is none)."""

    sound: Shard
    lips: Shard | None
    drafts: list[str | None]

    def batch(
        self, rows: list[int], drafts: Sequence[str | None], modality: Modality, lips_of: list[int]
    ) -> Batch:
        """Some clips; ``lips_of`` says whose lips each one gets."""
        sound = lips = None
        if modality != "video":
            sound = padded("audio", [self.sound.values[row] for row in rows])
        if modality != "audio":
            assert self.lips is not None
            lips = padded("video", [self.lips.values[row] for row in lips_of])
        texts = [self.sound.texts[row] for row in rows]
        return Batch(EncodedStreams(audio=sound, video=lips), texts, list(drafts))


class Source:
    """The shards of one folder of sound and, for films, of one folder of lips.

    Args:
        sound: folder of features.
        lips: folder of features of lips.
    """

    def __init__(self, sound: Path, lips: Path | None = None) -> None:
        self.sound, self.lips = sound, lips
        self._loaded: dict[Path, Clips] = {}

    def draw(self, rng: Generator, size: int, modality: Modality = "audio") -> Batch:
        """A random batch of clips of like lengths: all with drafts or, for a share, none."""
        files = sorted(self.sound.glob("*.npz"))
        if modality == "video":
            files = [file for file in files if SPOILT not in file.name]
        drafted = [file for file in files if file.with_suffix(".drafts.json").exists()]
        has_drafts = modality != "video" and bool(drafted) and rng.random() >= NO_DRAFT
        if has_drafts:
            files = drafted
        clips = self._load(files[rng.integers(len(files))])
        lengths = [len(value) for value in clips.sound.values]
        fit = [row for row, length in enumerate(lengths) if length <= MAX_FRAMES]
        pool = sorted(rng.permutation(fit)[: 8 * size].tolist(), key=lambda row: lengths[row])
        start = int(rng.integers(max(1, len(pool) - size + 1)))
        rows = pool[start : start + size]
        others = rng.integers(len(clips.drafts), size=len(rows)).tolist()
        drafts: list[str | None] = [None] * len(rows)
        if has_drafts:
            foreign = rng.random(len(rows)) < FOREIGN_DRAFT
            from_rows = [o if f else r for r, o, f in zip(rows, others, foreign, strict=True)]
            drafts = [clips.drafts[row] for row in from_rows]
        lips_of = rows
        if modality == "av":
            strange = rng.random(len(rows)) < FOREIGN_LIPS
            lips_of = [o if s else r for r, o, s in zip(rows, others, strange, strict=True)]
        return clips.batch(rows, drafts, modality, lips_of)

    def first(
        self, n_clips: int, size: int, drafted: bool, modality: Modality = "audio", name: str = ""
    ) -> list[Batch]:
        """The first clips in order of shards whose name begins so, with own drafts or none."""
        batches, left = [], n_clips
        for file in sorted(self.sound.glob(f"{name}*.npz")):
            clips = self._load(file)
            rows = list(range(min(left, len(clips.sound.texts))))
            left -= len(rows)
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                drafts = [clips.drafts[row] if drafted else None for row in part]
                batches.append(clips.batch(part, drafts, modality, part))
        return batches

    def _load(self, file: Path) -> Clips:
        if file not in self._loaded:
            sound, drafts = read_shard(file), file.with_suffix(".drafts.json")
            texts = json.loads(drafts.read_text()) if drafts.exists() else [""] * len(sound.texts)
            lips = read_shard(self.lips / file.name) if self.lips is not None else None
            self._loaded[file] = Clips(sound, lips, [spoken_form(text) or None for text in texts])
        return self._loaded[file]


def padded(stream: Stream, values: list[np.ndarray]) -> EncodedStream:
    """One stream of a batch, out of [T, W] of each clip."""
    tensors = [torch.from_numpy(value.astype(np.float32)) for value in values]
    return EncodedStream(
        stream=stream,
        features=pad_sequence(tensors, batch_first=True),
        lengths=torch.tensor([len(value) for value in tensors]),
    )

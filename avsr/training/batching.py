"""Batches of clips of about the same length, the same whatever the number of processes.

Every batch is made of :class:`Pick` objects, so that a clip's augmentation and a step's rates
depend on seed, epoch and place alone: a run resumes exactly, whatever its worker processes did.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

BUCKET_RATIO = 1.1  # longest over shortest clip of a bucket: at most a tenth is padding


@dataclass(frozen=True)
class Pick:
    """One clip of a batch.

    Attributes:
        index: of the clip in the data set.
        epoch: pass over the data.
        batch: number of the batch within the epoch.
        group: number of the optimiser step within the epoch.
    """

    index: int
    epoch: int
    batch: int
    group: int


def bucket_clips(n_frames: Sequence[int]) -> list[list[int]]:
    """Put clips into buckets of similar length, shortest first."""
    buckets: list[list[int]] = []
    shortest = 0.0
    for index in sorted(range(len(n_frames)), key=lambda index: (n_frames[index], index)):
        if not buckets or n_frames[index] > BUCKET_RATIO * shortest:
            buckets.append([])
            shortest = n_frames[index]
        buckets[-1].append(index)
    return buckets


def batch_clips(
    buckets: Sequence[Sequence[int]], n_frames: Sequence[int], max_frames: int, max_clips: int
) -> list[list[int]]:
    """Cut buckets into batches of at most ``max_frames`` (clips times longest clip).

    A clip that is longer than ``max_frames`` is a batch of its own.
    """
    batches = []
    for bucket in buckets:
        longest = max(n_frames[index] for index in bucket)
        size = max(1, min(max_clips, max_frames // max(longest, 1)))
        batches += [list(bucket[start : start + size]) for start in range(0, len(bucket), size)]
    return batches


class FrameBatchSampler(Sampler[list[Pick]]):
    """Shuffled batches for training; as many in every epoch, a multiple of ``group_size``.

    Where batches are short of a multiple, some come twice in an epoch (augmented differently).

    Args:
        n_frames: length of every clip.
        max_frames: as :func:`batch_clips` takes it.
        max_clips: as :func:`batch_clips` takes it.
        group_size: batches of one optimiser step, over all processes.
        seed: fixes the order.
    """

    def __init__(
        self,
        n_frames: Sequence[int],
        *,
        max_frames: int,
        max_clips: int,
        group_size: int = 1,
        seed: int = 0,
    ) -> None:
        self._n_frames = list(n_frames)
        self._buckets = bucket_clips(n_frames)
        self._limits = (max_frames, max_clips)
        self._group_size = group_size
        self._seed = seed
        self._epoch = 0
        n_batches = len(batch_clips(self._buckets, self._n_frames, *self._limits))
        self._length = -(-n_batches // group_size) * group_size

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one epoch."""
        return self._length // self._group_size

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next pass is."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[Pick]]:
        generator = np.random.default_rng((self._seed, self._epoch))
        shuffled = [
            [bucket[place] for place in generator.permutation(len(bucket))]
            for bucket in self._buckets
        ]
        batches = batch_clips(shuffled, self._n_frames, *self._limits)
        order = generator.permutation(len(batches))
        for number in range(self._length):
            group = number // self._group_size
            yield [
                Pick(index, self._epoch, number, group)
                for index in batches[order[number % len(batches)]]
            ]

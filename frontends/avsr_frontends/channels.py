"""Several channels of sound to one: their mean, or one of them where they cancel each other out."""

from collections.abc import Iterator

import numpy as np

from avsr_frontends.rates import SAMPLE_RATE

_BLOCK = SAMPLE_RATE // 2  # samples over which it is decided
_MEMORY = 0.5  # share of what was learned that is left after a block
_SILENCE = 1e-9  # mean power below which a block tells nothing
# Power of the mean over what it would be for channels that have nothing to do with each other. The
# mean of stereo whose channels are one signal and its inverse has hardly any.
_CANCELS = 0.35
_CANCELS_OF_MANY = 0.1
_CANCELS_NO_MORE = 0.6


class ChannelMixer:
    """Brings sound to one channel, piece by piece; up to half a second is held back.

    Channels are averaged: FFmpeg's own downmix sums them and exceeds [-1, 1].

    Attributes:
        n_cancelled: samples for which one channel was taken instead.
    """

    def __init__(self) -> None:
        self.n_cancelled = 0
        self._held: list[np.ndarray] = []
        self._n_held = 0
        self._power = np.zeros(0)  # of each channel, as remembered
        self._mean_power = 0.0
        self._is_cancelling = False

    def add(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Take [C, n] samples, as many channels as before; give [n] of them or of earlier ones."""
        if len(samples) == 1:
            yield samples[0].astype(np.float32)
            return
        self._held.append(samples)
        self._n_held += samples.shape[1]
        if self._n_held >= _BLOCK:
            yield from self.finish()

    def finish(self) -> Iterator[np.ndarray]:
        """Give what is held back."""
        if not self._held:
            return
        block = np.concatenate(self._held, axis=1)
        self._held, self._n_held = [], 0
        mean = block.mean(axis=0)
        self._learn(block, mean)
        if self._is_cancelling:
            self.n_cancelled += len(mean)
            mean = block[int(self._power.argmax())]
        yield mean.astype(np.float32)

    def _learn(self, block: np.ndarray, mean: np.ndarray) -> None:
        power = np.nan_to_num(block.astype(np.float64) ** 2).sum(axis=1)
        if power.sum() < _SILENCE * block.size:
            return
        if len(power) != len(self._power):
            self._power, self._mean_power = np.zeros(len(power)), 0.0
        self._power = _MEMORY * self._power + power
        mean_power = float(np.nan_to_num(mean.astype(np.float64) ** 2).sum())
        self._mean_power = _MEMORY * self._mean_power + mean_power
        share = self._mean_power * len(power) ** 2 / float(self._power.sum())
        limit = _CANCELS if len(power) == 2 else _CANCELS_OF_MANY
        self._is_cancelling = share < (_CANCELS_NO_MORE if self._is_cancelling else limit)

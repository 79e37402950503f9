"""Sound and pictures in pieces of any size, brought to video frames of 25 per second as they come.

A track that stalls is filled up (sound with silence, pictures with none) so that the other one goes
on; what comes too late for its place is dropped.
"""

import math
from fractions import Fraction

import av
import numpy as np

from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from avsr_frontends.sound_timeline import SoundTimeline

__all__ = ["IncomingPictures", "IncomingSound"]

_GONE_S = 0.5  # a track that is later than the other by more has stalled
_GONE = round(_GONE_S * VIDEO_FPS)


class IncomingSound:
    """Sound of any rate in, samples at 16 kHz on the timeline out."""

    def __init__(self, is_expected: bool = True) -> None:
        """Prepare; sound that is not expected is never waited for."""
        self._timeline = SoundTimeline()
        self._pieces: list[np.ndarray] = []
        self._is_stalled = not is_expected

    @property
    def n_frames(self) -> int:
        """Whole video frames of sound that there are, from the beginning on."""
        return self._timeline.n_given // SAMPLES_PER_VIDEO_FRAME

    def add(self, samples: np.ndarray, rate: int, time: float | None) -> None:
        """Take a piece.

        Args:
            samples: [n] or [n, channels] float, nominally in [-1, 1].
            rate: samples per second.
            time: when it begins, seconds; None: right after the piece before.
        """
        values = np.asarray(samples, dtype=np.float32)
        values = values if values.ndim == 1 else values.mean(axis=1)
        if len(values) == 0:
            return
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(values[None]), format="fltp", layout="mono"
        )
        frame.sample_rate = rate
        when = None if time is None else Fraction(max(0.0, time))
        self._pieces += self._timeline.append(frame, when)
        self._is_stalled = False

    def fill(self, n_frames: int) -> None:
        """Put silence in place of what does not come, where others have come to ``n_frames``."""
        self._is_stalled = self._is_stalled or n_frames - self.n_frames > _GONE
        if self._is_stalled and n_frames > self.n_frames:
            self._pieces.append(self._timeline.fill(n_frames * SAMPLES_PER_VIDEO_FRAME))

    def take(self, n_frames: int) -> np.ndarray:
        """The sound of the next frames, [640 n_frames]; they must be there."""
        held = np.concatenate([np.zeros(0, dtype=np.float32), *self._pieces])
        n_samples = n_frames * SAMPLES_PER_VIDEO_FRAME
        self._pieces = [held[n_samples:]]
        return held[:n_samples]


class IncomingPictures:
    """Pictures with times in, one for each video frame out: what is on screen in its middle.

    Attributes:
        n_frames: given out so far.
    """

    def __init__(self, is_expected: bool = True) -> None:
        """Prepare; pictures that are not expected are never waited for."""
        self.n_frames = 0
        self._shown: np.ndarray | None = None
        self._is_stalled = not is_expected

    def add(self, picture: np.ndarray, time: float) -> list[np.ndarray | None]:
        """Take a picture, [H, W, 3] uint8 RGB, that is shown from ``time`` seconds on.

        Returns:
            The frames that are certain now: all before it; None where nothing has been shown.
        """
        frames = self._until(math.ceil(time * VIDEO_FPS - 0.5))
        self._shown = picture
        self._is_stalled = False
        return frames

    def fill(self, n_frames: int) -> list[np.ndarray | None]:
        """Frames without a picture, where others have come to ``n_frames`` and none comes."""
        self._is_stalled = self._is_stalled or n_frames - self.n_frames > _GONE
        if not self._is_stalled:
            return []
        self._shown = None
        return self._until(n_frames)

    def _until(self, n_frames: int) -> list[np.ndarray | None]:
        n_new = max(0, n_frames - self.n_frames)
        self.n_frames += n_new
        return [self._shown] * n_new

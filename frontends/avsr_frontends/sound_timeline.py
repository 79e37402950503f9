"""Decoded sound frames to 16 kHz mono on a timeline, silence in its gaps."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.error import FFmpegError

from avsr_frontends.channels import ChannelMixer
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

_MAX_JITTER_S = Fraction(1, VIDEO_FPS)  # sound frames that are off by less still join seamlessly


class SoundTimeline:
    """Brings sound frames to 16 kHz on a timeline that starts at 0, silence in its gaps.

    Each frame is resampled by its own rate.

    Attributes:
        n_frames: frames taken.
        n_given: samples given out, which is where the next ones follow.
        n_bad: frames that could not be resampled.
    """

    def __init__(self) -> None:
        self.n_frames = self.n_given = self.n_bad = 0
        self._mixer = ChannelMixer()
        self._resampler: av.AudioResampler | None = None
        self._next_sample = 0  # where the resampler's next output belongs
        self._form: tuple[str, str, int] | None = None  # format, channels and rate of the run
        self._expected = Fraction(0)  # time at which the next frame continues the run

    @property
    def cancelled_s(self) -> float:
        """Seconds in which the channels cancel each other out, so that one of them was taken."""
        return self._mixer.n_cancelled / SAMPLE_RATE

    def append(self, frame: av.AudioFrame, time: Fraction | None) -> Iterator[np.ndarray]:
        """Add a frame that is heard at ``time`` seconds (None: right after the previous one)."""
        if frame.sample_rate <= 0:
            self.n_bad += 1
            return
        time = self._expected if time is None else time
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form or abs(time - self._expected) > _MAX_JITTER_S:
            yield from self.finish()
            self._next_sample, self._expected, self._form = round(time * SAMPLE_RATE), time, form
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
        self.n_frames += 1
        self._expected += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None  # a run is contiguous: jitter of its times must not reach the resampler
        yield from self._resample(frame)

    def fill(self, n_samples: int) -> np.ndarray:
        """Silence up to sample ``n_samples``, in place of what has not come; that is dropped."""
        silence = np.zeros(max(0, n_samples - self.n_given), dtype=np.float32)
        self.n_given += len(silence)
        return silence

    def finish(self) -> Iterator[np.ndarray]:
        """End the run: give out what the resampler still holds."""
        if self._resampler is not None:
            yield from self._resample(None)
        for samples in self._mixer.finish():
            yield from self._placed(samples)
        self._resampler = None

    def _resample(self, frame: av.AudioFrame | None) -> Iterator[np.ndarray]:
        assert self._resampler is not None
        try:
            resampled = self._resampler.resample(frame)
        except (FFmpegError, ValueError):  # a layout that nothing converts
            self.n_bad += 1
            return
        for out in resampled:
            for samples in self._mixer.add(out.to_ndarray()):
                yield from self._placed(samples)

    def _placed(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Samples where they belong: behind silence, or without what has been given already."""
        first, self._next_sample = self._next_sample, self._next_sample + len(samples)
        while first > self.n_given:
            silence = min(first - self.n_given, SAMPLE_RATE)
            self.n_given += silence
            yield np.zeros(silence, dtype=np.float32)
        samples = samples[self.n_given - first :]  # of two at one time, the first counts
        self.n_given += len(samples)
        if len(samples):
            yield samples

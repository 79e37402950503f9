"""Media decoding: any container PyAV reads, as 16 kHz mono audio and 25 fps RGB pictures.

Both tracks are placed by presentation time on one timeline whose zero is the start of the file,
so an audio track that starts late begins with silence and a picture that starts late is held
back to the start. N counts audio samples, H and W are the picture's size.
"""

import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from avsr_frontends.clock import clock_of
from avsr_frontends.containers import (
    MediaError,
    MediaInfo,
    latest_time,
    open_media,
    probe,
    timeline_zero,
    track_start,
    tracks,
)
from avsr_frontends.decoding import DecodeReport, decode, frame_time
from avsr_frontends.pictures import BadPictureError, fits, is_absurd, upright_rgb
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

__all__ = [
    "DecodeReport",
    "MediaError",
    "MediaInfo",
    "iter_audio",
    "iter_video",
    "probe",
    "read_audio",
]

_MAX_JITTER_S = Fraction(1, VIDEO_FPS)  # sound frames that are off by less still join seamlessly

_SHORTEST_S = Fraction(1, 500)  # time on screen of one picture, below which it is not believed


def iter_video(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    report: DecodeReport | None = None,
) -> Generator[np.ndarray, None, None]:
    """Decode the picture at exactly 25 frames per second, as a stream.

    Output frame k shows what is on screen at ``start + (k + 0.5) / 25`` s, which neither drifts
    nor lags for any source rate. Across lost frames the last good picture stays; before the first
    one the first is shown. Memory stays bounded whatever the length.

    Args:
        path: a media file.
        start: seconds on the common timeline; None is the beginning.
        end: seconds; None is the end of the picture.
        report: filled with what had to be skipped.

    Yields:
        [H, W, 3] uint8 RGB, upright (rotation applied) and with square pixels.

    Raises:
        MediaError: on the first frame, if the file cannot be read or has no picture.
    """
    path = Path(path)
    report = report if report is not None else DecodeReport()
    start = max(0.0, start or 0.0)
    n_wanted = math.inf if end is None else max(0, round((end - start) * VIDEO_FPS))
    n_done = 0
    with open_media(path) as container:
        track = tracks(container)[1]
        if track is None:
            raise MediaError(f"{path}: has no picture; use --modality audio")
        if track.width and not fits(track.width, track.height):
            raise MediaError(
                f"{path}: pictures of {track.width}x{track.height} are too large; scale them down"
            )
        aspect = track.sample_aspect_ratio
        if is_absurd(aspect):
            report.absurd_aspect = aspect
        zero = timeline_zero(container) + Fraction(start)
        rgb: np.ndarray | None = None
        for picture, until in _pictures(container, path, track, zero, report):
            is_new = True
            while n_done < n_wanted and Fraction(2 * n_done + 1, 2 * VIDEO_FPS) < until:
                if is_new:
                    is_new = False
                    try:
                        rgb = upright_rgb(picture, aspect)
                    except BadPictureError:  # the last good one stays
                        report.count("corrupt", track)
                if rgb is None:
                    break
                yield rgb
                n_done += 1
            if n_done >= n_wanted:
                return
    if n_done == 0:
        what = "none of its picture frames can be decoded" if not start else "has no picture there"
        raise MediaError(f"{path}: {what}; use --modality audio")


def read_audio(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    report: DecodeReport | None = None,
) -> np.ndarray:
    """Decode the sound as 16 kHz mono, placed by presentation time.

    Args:
        path: a media file.
        start: seconds on the common timeline; None is the beginning.
        end: seconds; None is the end of the sound.
        report: filled with what had to be skipped.

    Returns:
        [N] float32, nominally in [-1, 1]; silence where the track has gaps or starts late.

    Raises:
        MediaError: if the file cannot be read or has no sound.
    """
    pieces = list(iter_audio(path, start, end, report))
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)


def iter_audio(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    report: DecodeReport | None = None,
) -> Iterator[np.ndarray]:
    """Decode the sound like :func:`read_audio`, as a stream of short pieces that follow on.

    Memory stays bounded whatever the length.

    Yields:
        [n] float32.

    Raises:
        MediaError: if the file cannot be read or has no sound; before the first piece.
    """
    path = Path(path)
    report = report if report is not None else DecodeReport()
    start = max(0.0, start or 0.0)
    n_left = math.inf if end is None else max(0, round((end - start) * SAMPLE_RATE))
    with open_media(path) as container:
        track = tracks(container)[0]
        if track is None:
            raise MediaError(f"{path}: has no sound; use --modality video")
        zero = timeline_zero(container) + Fraction(start)
        latest = latest_time(container, path)
        clock = clock_of(container, path)
        heard = _Timeline()
        for frame in decode(container, track, zero, report, clock):
            time = frame_time(frame)
            if time is not None and time > latest:
                time = None  # a damaged time: what it was is lost, the order is not
            if time is not None and (time - zero) * SAMPLE_RATE > n_left + heard.n_given:
                break
            for piece in heard.append(frame, None if time is None else time - zero):
                yield piece[: int(min(n_left, len(piece)))]
                n_left -= len(piece)
                if n_left <= 0:
                    return
        for piece in heard.finish():
            yield piece[: int(max(0, min(n_left, len(piece))))]
            n_left -= len(piece)
    if heard.n_frames == 0:
        what = "none of its sound frames can be decoded" if not start else "has no sound there"
        raise MediaError(f"{path}: {what}; use --modality video")


class _Timeline:
    """Brings sound frames to 16 kHz on a timeline that starts at 0, silence in its gaps.

    Attributes:
        n_frames: frames taken.
        n_given: samples given out, which is where the next ones follow.
    """

    def __init__(self) -> None:
        self.n_frames = 0
        self.n_given = 0
        self._resampler: av.AudioResampler | None = None
        self._next_sample = 0  # where the resampler's next output belongs
        self._form: tuple[str, str, int] | None = None  # format, channels and rate of the run
        self._expected = Fraction(0)  # time at which the next frame continues the run

    def append(self, frame: av.AudioFrame, time: Fraction | None) -> Iterator[np.ndarray]:
        """Add a frame that is heard at ``time`` seconds (None: right after the previous one)."""
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

    def finish(self) -> Iterator[np.ndarray]:
        """End the run: give out what the resampler still holds."""
        if self._resampler is not None:
            yield from self._resample(None)
        self._resampler = None

    def _resample(self, frame: av.AudioFrame | None) -> Iterator[np.ndarray]:
        assert self._resampler is not None
        for out in self._resampler.resample(frame):
            # Channels are averaged here: FFmpeg's own downmix sums them and exceeds [-1, 1].
            samples = out.to_ndarray().mean(axis=0).astype(np.float32)
            first, self._next_sample = self._next_sample, self._next_sample + len(samples)
            while first > self.n_given:
                silence = min(first - self.n_given, SAMPLE_RATE)
                self.n_given += silence
                yield np.zeros(silence, dtype=np.float32)
            samples = samples[self.n_given - first :]  # of two at one time, the first counts
            self.n_given += len(samples)
            if len(samples):
                yield samples


def _pictures(
    container: InputContainer,
    path: Path,
    track: av.VideoStream,
    zero: Fraction,
    report: DecodeReport,
) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Yield each picture with the time after ``zero`` (s) until which it is on screen."""
    latest, clock = latest_time(container, path), clock_of(container, path)
    shown: av.VideoFrame | None = None
    shown_from = until = track_start(track)
    for frame in decode(container, track, zero, report, clock):
        time = frame_time(frame)
        time = until if time is None else time
        if shown is not None and time != shown_from:  # of two at one time, the second counts
            if not shown_from < time <= latest:  # a damaged time: others stay in step with sound
                report.count("corrupt", track)
                continue
            yield shown, time - zero
        shown, shown_from, until = frame, time, time + _duration(frame, track)
    if shown is not None:
        yield shown, until - zero


def _duration(frame: av.VideoFrame, track: av.VideoStream) -> Fraction:
    duration = (frame.duration or 0) * (frame.time_base or 0)
    if duration > _SHORTEST_S:  # some containers write a meaningless single tick
        return Fraction(duration)
    return 1 / (track.average_rate or track.guessed_rate or Fraction(VIDEO_FPS))

"""Media decoding: any container PyAV reads, as 16 kHz mono audio and 25 fps RGB pictures.

Both tracks are placed by presentation time on one timeline whose zero is the start of the file,
so an audio track that starts late begins with silence and a picture that starts late is held
back to the start. N counts audio samples, H and W are the picture's size.
"""

import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from avsr_frontends.containers import MediaError, MediaInfo, probe
from avsr_frontends.decoding import DecodeReport
from avsr_frontends.pictures import BadPictureError, upright_rgb
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS
from avsr_frontends.sound_timeline import SoundTimeline
from avsr_frontends.sound_tracks import AudioTrackWish
from avsr_frontends.timeline import NoTrackError, TimedFrame, timed_frames

__all__ = [
    "DecodeReport",
    "MediaError",
    "MediaInfo",
    "iter_audio",
    "iter_video",
    "probe",
    "read_audio",
]

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
    rgb: np.ndarray | None = None
    for picture, until in _pictures(path, Fraction(start), report):
        is_new = True
        while n_done < n_wanted and Fraction(2 * n_done + 1, 2 * VIDEO_FPS) < until:
            if is_new:
                is_new = False
                rgb = _shown(picture, report, rgb)
            if rgb is None:
                break
            yield rgb
            n_done += 1
        if n_done >= n_wanted:
            return
    if n_done == 0:
        what = "none of its picture frames can be decoded" if not start else "has no picture there"
        raise MediaError(f"{path}: {what}")


def read_audio(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    report: DecodeReport | None = None,
    audio_track: AudioTrackWish | None = None,
) -> np.ndarray:
    """Decode the sound as 16 kHz mono, placed by presentation time.

    Args:
        path: a media file.
        start: seconds on the common timeline; None is the beginning.
        end: seconds; None is the end of the sound.
        report: filled with what had to be skipped.
        audio_track: which of several sound tracks, by number from 1 on or by language; None is
            the one that the file marks as default, else the first.

    Returns:
        [N] float32, nominally in [-1, 1]; silence where the track has gaps or starts late. The
        mean of the channels, or one of them where they cancel each other out.

    Raises:
        MediaError: if the file cannot be read or has no such sound.
    """
    pieces = list(iter_audio(path, start, end, report, audio_track))
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)


def iter_audio(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    report: DecodeReport | None = None,
    audio_track: AudioTrackWish | None = None,
) -> Iterator[np.ndarray]:
    """Decode the sound like :func:`read_audio`, as a stream of short pieces that follow on.

    Memory stays bounded whatever the length.

    Yields:
        [n] float32.

    Raises:
        MediaError: if the file cannot be read or has no such sound; before the first piece.
    """
    path = Path(path)
    report = report if report is not None else DecodeReport()
    begin = Fraction(max(0.0, start or 0.0))
    n_left = math.inf if end is None else max(0, round((end - begin) * SAMPLE_RATE))
    heard = SoundTimeline()

    def pieces() -> Iterator[np.ndarray]:
        for timed in timed_frames(path, "audio", begin, report, audio_track):
            time = None if timed.time is None else timed.time - begin
            if time is not None and time * SAMPLE_RATE > n_left + heard.n_given:
                break
            yield from heard.append(timed.frame, time)
        yield from heard.finish()

    try:
        for piece in pieces():
            if n_left <= 0:
                break
            yield piece[: int(min(n_left, len(piece)))]
            n_left -= len(piece)
    except NoTrackError:
        raise MediaError(f"{path}: has no sound") from None
    report.corrupt_audio_frames += heard.n_bad
    report.cancelled_channels_s += heard.cancelled_s
    if heard.n_frames == 0:
        what = "none of its sound frames can be decoded" if not start else "has no sound there"
        raise MediaError(f"{path}: {what}")


def _pictures(
    path: Path, start: Fraction, report: DecodeReport
) -> Iterator[tuple[TimedFrame, Fraction]]:
    """Yield each picture with the time after ``start`` (s) until which it is on screen."""
    shown: TimedFrame | None = None
    shown_from = until = -start
    try:
        for timed in timed_frames(path, "video", start, report):
            time = until if timed.time is None else timed.time - start
            if shown is not None and time != shown_from:  # of two at one time, the second counts
                if time < shown_from:  # a damaged time: others stay in step with the sound
                    report.count("corrupt", "video")
                    continue
                yield shown, time
            shown, shown_from, until = timed, time, time + _duration(timed)
    except NoTrackError:
        raise MediaError(f"{path}: has no picture") from None
    if shown is not None:
        yield shown, until


def _shown(
    picture: TimedFrame, report: DecodeReport, last_good: np.ndarray | None
) -> np.ndarray | None:
    """A picture as it is seen; the last good one where it cannot be shown."""
    try:
        return upright_rgb(picture.frame, picture.aspect)
    except BadPictureError:
        report.count("corrupt", "video")
        return last_good


def _duration(picture: TimedFrame) -> Fraction:
    duration = (picture.frame.duration or 0) * (picture.frame.time_base or 0)
    if duration > _SHORTEST_S:  # some containers write a meaningless single tick
        return Fraction(duration)
    return picture.usual_s

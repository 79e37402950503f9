"""The frames of one track of a file in running time, whatever the file is joined from.

Time zero is the start of the file: the earlier of the two tracks' starts.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.container import InputContainer
from av.error import FFmpegError

from avsr_frontends.clock import Clock, clock_of, is_bare
from avsr_frontends.containers import (
    MediaError,
    Track,
    latest_time,
    link_length,
    open_media,
    timeline_zero,
    tracks,
)
from avsr_frontends.decoding import DecodeReport, decode, frame_time
from avsr_frontends.links import links_of, open_file
from avsr_frontends.pictures import fits, is_absurd
from avsr_frontends.rates import VIDEO_FPS
from avsr_frontends.sound_tracks import AudioTrackWish

_NAMES = {"audio": "sound", "video": "picture"}


@dataclass(frozen=True, kw_only=True)
class TimedFrame:
    """A decoded frame, which outlives its file.

    Attributes:
        frame: ``av.VideoFrame`` or ``av.AudioFrame``.
        time: when it is shown or heard, seconds; None: right after the one before.
        aspect: width of a pixel over its height, as the header of a picture says; or None.
        usual_s: for how long pictures of its track are usually shown, seconds.
    """

    frame: Any
    time: Fraction | None
    aspect: Fraction | None = None
    usual_s: Fraction = Fraction(1, VIDEO_FPS)


class NoTrackError(MediaError):
    """A file without the track that is wanted."""


def timed_frames(
    path: Path,
    kind: Literal["audio", "video"],
    start: Fraction,
    report: DecodeReport,
    audio_track: AudioTrackWish | None = None,
) -> Iterator[TimedFrame]:
    """Decode one track.

    Args:
        path: a media file.
        kind: which track.
        start: seconds; frames from there on come, and usually some before.
        report: damage is added to it.
        audio_track: which sound track; None is the one meant to be heard.

    Raises:
        NoTrackError: if there is no such track.
        MediaError: if the file cannot be opened.
    """
    with ExitStack() as stack:
        container = stack.enter_context(open_media(path))
        links = links_of(path, container.format.name)
        if not links:
            track = _track(container, kind, audio_track)
            if track is None:
                raise NoTrackError(f"{path}: has no {_NAMES[kind]}")
            clock = clock_of(container, path)
            yield from _frames(container, path, clock, track, start, Fraction(0), report)
            return
    offset, any_track = Fraction(0), False
    for link in links:
        try:
            container = open_file(path, link)
        except FFmpegError:  # what cannot be opened is skipped
            report.unreadable_links += 1
            continue
        with container:
            length = link_length(path, link)
            track = _track(container, kind, audio_track)
            any_track = any_track or track is not None
            if track is not None and start < offset + length:
                yield from _frames(container, path, None, track, start, offset, report)
            offset += length
    if not any_track:
        raise NoTrackError(f"{path}: has no {_NAMES[kind]}")


def _track(
    container: InputContainer, kind: str, audio_track: AudioTrackWish | None
) -> Track | None:
    audio, video = tracks(container, audio_track if kind == "audio" else None)
    return audio if kind == "audio" else video


def _frames(
    container: InputContainer,
    path: Path,
    clock: Clock | None,
    track: Track,
    start: Fraction,
    offset: Fraction,
    report: DecodeReport,
) -> Iterator[TimedFrame]:
    """The frames of one link, which begins at ``offset``."""
    aspect, usual_s = None, Fraction(1, VIDEO_FPS)
    if isinstance(track, av.VideoStream):
        _check_picture(track, path, report)
        aspect = track.sample_aspect_ratio
        usual_s = 1 / (track.average_rate or track.guessed_rate or Fraction(VIDEO_FPS))
    zero = timeline_zero(container)
    latest = latest_time(container, clock)
    first_rate: int | None = None
    is_countable = True
    for frame in decode(container, track, zero + max(Fraction(0), start - offset), report, clock):
        time = frame_time(frame)
        if track.type == "audio" and is_bare(container):  # times were guessed by the first rate
            first_rate = first_rate or frame.sample_rate
            is_countable = is_countable and frame.sample_rate == first_rate
        if time is not None and time > latest and track.type == "video":
            report.count("corrupt", "video")  # others stay in step with the sound
            continue
        if time is not None and (time > latest or not is_countable):
            time = None  # what it was is lost, the order is not
        place = None if time is None else time - zero + offset
        yield TimedFrame(frame=frame, time=place, aspect=aspect, usual_s=usual_s)


def _check_picture(track: av.VideoStream, path: Path, report: DecodeReport) -> None:
    """Look at what the header says of a picture before memory is taken for it."""
    if track.width and not fits(track.width, track.height):
        size = f"{track.width}x{track.height}"
        raise MediaError(f"{path}: pictures of {size} are too large; scale them down")
    if is_absurd(track.sample_aspect_ratio):
        report.absurd_aspect = track.sample_aspect_ratio

"""Decoding one track frame by frame: damage is counted and skipped, never fatal."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av import logging
from av.container import InputContainer
from av.error import FFmpegError

from avsr_frontends.clock import Clock, PartFinder, is_bare, timed_streams
from avsr_frontends.containers import AV_TIME_BASE, Track, has_stated_length, track_start
from avsr_frontends.pictures import MOST_PIXELS

# How far before the wanted time to seek, in seconds. Some containers land later than asked, hence
# more than one try; after the last, decoding starts at the beginning.
_SEEK_MARGINS_S = (Fraction(1, 2), Fraction(2), Fraction(8))
_NO_SEEKING = ("flv",)  # without an index, seeking fails half-way
# Up to this size one thread is fast enough, and what the decoder repairs can be observed from it.
_LARGEST_ON_ONE_THREAD = 1920 * 1088  # pixels
_MISSING_S = 0.5  # content may end this much before the header says so; headers are imprecise


@dataclass
class DecodeReport:
    """What was wrong in the decoded part of one file.

    Attributes:
        corrupt_video_frames: pictures that could not be decoded and were skipped.
        patched_video_frames: damaged pictures that the decoder repaired as well as it could.
        missing_video_s: seconds of picture that the header promises but the file lacks.
        corrupt_audio_frames: sound frames that could not be decoded and were skipped.
        patched_audio_frames: damaged sound frames that the decoder repaired.
        missing_audio_s: seconds of sound that the header promises but the file lacks.
        absurd_aspect: ratio of the pixels' sides that the header gives and nobody can mean; square
            ones were assumed.
        unreadable_links: files within a joined file that cannot be opened.
        cancelled_channels_s: seconds in which the channels of the sound cancel each other out, so
            that one of them was heard.
    """

    corrupt_video_frames: int = 0
    patched_video_frames: int = 0
    missing_video_s: float = 0.0
    corrupt_audio_frames: int = 0
    patched_audio_frames: int = 0
    missing_audio_s: float = 0.0
    absurd_aspect: Fraction | None = None
    unreadable_links: int = 0
    cancelled_channels_s: float = 0.0

    @property
    def warnings(self) -> list[str]:
        """One sentence for each kind of damage met; empty for a sound file."""
        sentences = []
        if self.absurd_aspect is not None:
            sentences.append(
                f"the header's absurd pixel aspect ratio {self.absurd_aspect} was ignored"
            )
        if self.cancelled_channels_s:
            sentences.append(
                "the sound's channels cancel each other out (out of phase): only one was heard"
            )
        if self.unreadable_links:
            sentences.append(f"{self.unreadable_links} joined part(s) cannot be read: left out")
        for kind, name in (("video", "picture"), ("audio", "sound")):
            if count := getattr(self, f"corrupt_{kind}_frames"):
                sentences.append(f"{count} corrupt {name} frame(s) skipped")
            if count := getattr(self, f"patched_{kind}_frames"):
                sentences.append(f"{count} damaged {name} frame(s) repaired by the decoder")
            if seconds := getattr(self, f"missing_{kind}_s"):
                sentences.append(f"the last {seconds:.1f} s of {name} are missing: truncated file")
        return sentences

    def count(self, what: str, kind: str, amount: int = 1) -> None:
        """Add to ``corrupt`` or ``patched`` frames of ``video`` or ``audio``."""
        name = f"{what}_{kind}_frames"
        setattr(self, name, getattr(self, name) + amount)


def decode(
    container: InputContainer,
    track: Track,
    since: Fraction,
    report: DecodeReport,
    clock: Clock | None = None,
) -> Iterator[Any]:
    """Yield the frames of a track from ``since`` on, and usually some before.

    Damage before ``since`` is not counted: after a seek, decoders may first meet incomplete data.

    Args:
        container: an open file.
        track: one of its tracks.
        since: seconds of the container's clock.
        report: damage is added to it.
        clock: the running time of a file that was joined of several; frames then have its times.

    Yields:
        ``av.VideoFrame`` or ``av.AudioFrame``.
    """
    observed = track.type == "audio" or track.width * track.height <= _LARGEST_ON_ONE_THREAD
    track.codec_context.thread_count = 1 if observed else 0
    if not observed:
        track.codec_context.thread_type = "AUTO"
    if track.type == "video":  # larger ones are refused before memory is taken for them
        track.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    is_joined = clock is not None and clock.is_joined  # joints look like lost packets
    end = track_start(track)
    for packet in _packets(container, track, since, report, clock):
        time = _seconds(packet.pts, packet.time_base)
        wanted = time is None or time >= since
        with _complaints() if observed else nullcontext() as complaints:
            try:
                frames: list[Any] = packet.decode()
            except FFmpegError:
                frames = []
                report.count("corrupt", track.type, int(wanted))
            else:
                damaged = bool(complaints) or (packet.is_corrupt and not is_joined)
                report.count("patched", track.type, int(wanted and damaged))
        if time is not None:
            end = max(end, time + (_seconds(packet.duration, packet.time_base) or 0))
        for frame in frames:
            if frame.is_corrupt:
                report.count("corrupt", track.type, int(wanted))
            else:
                yield frame
    promised = _promised_end(track) if has_stated_length(container, track) else None
    if promised is not None and promised - end > _MISSING_S:
        setattr(report, f"missing_{track.type}_s", float(promised - end))


def frame_time(frame: av.AudioFrame | av.VideoFrame) -> Fraction | None:
    """Presentation time in seconds of the container's clock, None where the file has none."""
    return _seconds(frame.pts, frame.time_base)


def _seconds(ticks: int | None, time_base: Fraction | None) -> Fraction | None:
    return None if ticks is None or time_base is None else ticks * time_base


def _promised_end(track: Track) -> Fraction | None:
    """When the headers say that a track ends, in seconds of the container's clock."""
    clock = track.metadata.get("DURATION", "").split(":")  # Matroska: hours:minutes:seconds
    if len(clock) == 3 and all(part.replace(".", "", 1).isdecimal() for part in clock):
        hours, minutes, seconds = (Fraction(part) for part in clock)
        return hours * 3600 + minutes * 60 + seconds
    duration = _seconds(track.duration, track.time_base)
    return None if duration is None else track_start(track) + duration


def _packets(
    container: InputContainer,
    track: Track,
    since: Fraction,
    report: DecodeReport,
    clock: Clock | None,
) -> Iterator[av.Packet]:
    """Yield the packets of a track from before ``since`` until the end or a break in the file."""
    if clock is not None and clock.is_joined:
        packets = _from_keyframe(_on_one_clock(container, track, clock), since)
    elif is_bare(container):
        packets = container.demux(track)  # places are known only by counting from the beginning
    elif container.format.name in _NO_SEEKING:
        packets = _from_keyframe(container.demux(track), since)
    else:
        packets = _from_before(container, track, since)
    while True:
        with _complaints() as complaints:
            try:
                packet = next(packets, None)
            except FFmpegError:  # the container itself breaks off here
                report.count("corrupt", track.type)
                return
        if packet is None:
            return
        if complaints:  # data that no packet could be made of
            report.count("corrupt", track.type)
        yield packet


def _on_one_clock(container: InputContainer, track: Track, clock: Clock) -> Iterator[av.Packet]:
    """All packets of a track with the times of the running clock; none where those are damaged."""
    finder = PartFinder()
    for packet in container.demux(timed_streams(container)):
        part = finder.part_of(packet)
        if packet.stream_index != track.index:
            continue
        offset = None if part is None else clock.offsets[part]
        if offset is None and part is not None:
            packet.pts = packet.dts = None
        elif offset is not None and packet.time_base is not None:
            ticks = round(offset / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        yield packet


def _from_keyframe(packets: Iterator[av.Packet], since: Fraction) -> Iterator[av.Packet]:
    """Leave out what comes well before ``since``; begins where decoding can begin."""
    held: list[av.Packet] = []
    for packet in packets:
        if packet.is_keyframe:
            held.clear()
        held.append(packet)
        time = _seconds(packet.pts, packet.time_base)
        if packet.size == 0 or (time is not None and time >= since - _SEEK_MARGINS_S[0]):
            break
    yield from held
    yield from packets


def _from_before(container: InputContainer, track: Track, since: Fraction) -> Iterator[av.Packet]:
    """Seek so that decoding begins early enough for ``since``, and return the packets."""
    if since <= track_start(track) + _SEEK_MARGINS_S[0]:
        return container.demux(track)
    for margin_s in (*_SEEK_MARGINS_S, None):
        target = track_start(track) if margin_s is None else since - margin_s
        try:
            container.seek(int(target * AV_TIME_BASE))
            packets = container.demux(track)
            first = next(packets, None)
        except FFmpegError:
            continue
        if first is None:
            continue
        time = _seconds(first.pts, first.time_base)
        if margin_s is None or (time is not None and time < since - _SEEK_MARGINS_S[0] / 2):
            return itertools.chain([first], packets)
    return container.demux(track)  # cannot seek at all: nothing has been read yet


_logging_lock = threading.Lock()
_logging_users = 0


@contextmanager
def _complaints() -> Iterator[list[Any]]:
    """Collect the errors that FFmpeg logs in this thread while it works around damage."""
    global _logging_users
    with _logging_lock:
        _logging_users += 1
        logging.set_level(logging.ERROR)
    try:
        with logging.Capture(local=True) as complaints:
            yield complaints
    finally:
        with _logging_lock:
            _logging_users -= 1
            if _logging_users == 0:
                logging.set_level(None)

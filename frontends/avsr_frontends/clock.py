"""Clocks of streams that were joined: each part begins its own time, and all together run on.

Transport streams and program streams may be put one behind the other; the time stamps then start
again at each joint, or leap. Sound and picture of a part are moved by the same amount, so that they
stay in step, to where the part before it ended.
"""

import functools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from avsr_frontends.links import Link, open_file

BARE_FORMATS = frozenset(
    ("aac", "ac3", "amr", "amrnb", "amrwb", "dts", "dtshd", "eac3", "loas", "mp2", "mp3", "truehd")
)
"""Formats of sound without time stamps: their times are counted, their durations guessed."""

_RESTARTING_FORMATS = frozenset(("mpeg", "mpegts"))
_LEAP_S = 10.0  # a clock that leaps forward by more was another's; FFmpeg's own limit
_JITTER_S = 0.2  # by which times may go back within one part
_RETURN_PACKETS = 8  # so soon after a damaged time, its track is back on the old clock
_RETURN_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How the times in a file become one running time.

    Attributes:
        offsets: seconds to add to the times of each part; None for a part that is but a few
            packets with damaged times.
        end: when the last part ends, in seconds of the running time.
    """

    offsets: tuple[Fraction | None, ...]
    end: Fraction

    @property
    def is_joined(self) -> bool:
        """Whether times must be changed at all."""
        return len(self.offsets) > 1


@dataclass
class _Part:
    start: float
    end: float
    high: float
    is_stray: bool = False


class PartFinder:
    """Tells the parts of a file apart by its packets, which must come in the file's order.

    Attributes:
        parts: those met so far, in order.
    """

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self._tick_s: dict[int, float] = {}
        self._place: dict[int, tuple[int, float]] = {}  # by track: part, time of its last packet
        self._before: dict[int, tuple[int, float, int]] = {}  # and before its last leap
        self._reached: dict[tuple[int, int], float] = {}  # by track and part

    def part_of(self, packet: av.Packet) -> int | None:
        """Number of the part that a packet belongs to; None where it has no time."""
        ticks = packet.pts if packet.dts is None else packet.dts
        track = packet.stream_index
        if ticks is None or packet.time_base is None:
            return None
        if track not in self._tick_s:
            self._tick_s[track] = float(packet.time_base)
        time = ticks * self._tick_s[track]
        part = self._choose(track, time)
        self._place[track] = (part, time)
        reached = self._reached.get((track, part), time)
        self._reached[track, part] = max(reached, time)
        self._measure(self.parts[part], packet, time)
        return part

    def clock(self) -> Clock:
        """The running time of the packets so far."""
        offsets: list[Fraction | None] = []
        end: float | None = None
        for part in self.parts:
            if part.is_stray:
                offsets.append(None)
                continue
            offset = 0.0 if end is None else end - part.start
            offsets.append(Fraction(round(offset * 1_000_000), 1_000_000))
            end = part.end + offset
        return Clock(
            offsets=tuple(offsets), end=Fraction(round((end or 0.0) * 1_000_000), 1_000_000)
        )

    def _choose(self, track: int, time: float) -> int:
        if track not in self._place:
            return self._other_part(track, time)
        part, last = self._place[track]
        back = self._way_back(track, time)
        if back is not None:
            return back
        if last - _JITTER_S <= time <= self.parts[part].high + _LEAP_S:
            return part
        self._before[track] = (part, last, 0)
        return self._other_part(track, time)

    def _way_back(self, track: int, time: float) -> int | None:
        """The part that a track left because of a damaged time, if it goes on there."""
        if track not in self._before:
            return None
        part, last, n_since = self._before[track]
        if n_since == _RETURN_PACKETS:
            del self._before[track]
            return None
        self._before[track] = (part, last, n_since + 1)
        now, at = self._place[track]
        goes_on = last < time < last + _RETURN_S and not at <= time < at + _RETURN_S
        if now == part or not goes_on:
            return None
        for stray in self.parts[part + 1 : now + 1]:
            stray.is_stray = True
        del self._before[track]
        return part

    def _other_part(self, track: int, time: float) -> int:
        for number in range(len(self.parts) - 1, -1, -1):
            part = self.parts[number]
            near = part.start - _LEAP_S <= time <= part.high + _LEAP_S
            is_ahead = time > self._reached.get((track, number), -float("inf"))
            if near and is_ahead and not part.is_stray:
                return number
        self.parts.append(_Part(start=time, end=time, high=time))
        return len(self.parts) - 1

    def _measure(self, part: _Part, packet: av.Packet, time: float) -> None:
        tick_s = self._tick_s[packet.stream_index]
        shown = time if packet.pts is None else packet.pts * tick_s
        duration = (packet.duration or 0) * tick_s
        part.high = max(part.high, time)
        part.start = min(part.start, shown)
        part.end = max(part.end, shown + duration)


def clock_of(container: InputContainer, path: Path) -> Clock | None:
    """The running time of a stream whose clock may restart or whose length is a guess; else None.

    The file's packets are read once, without decoding them; the answer is remembered.
    """
    name = container.format.name
    is_scanned = name in _RESTARTING_FORMATS or name in BARE_FORMATS
    return measured_clock(path) if is_scanned else None


def is_bare(container: InputContainer) -> bool:
    """Whether the file is sound without time stamps."""
    return container.format.name in BARE_FORMATS


def measured_clock(path: Path, link: Link | None = None) -> Clock:
    """The running time of a file, or of a link of one, by its packets; remembered."""
    status = path.stat()
    return _measured(path, link, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _measured(path: Path, link: Link | None, _size: int, _date: int) -> Clock:
    finder = PartFinder()
    try:
        with open_file(path, link) as container:
            for packet in container.demux(timed_streams(container)):
                finder.part_of(packet)
    except FFmpegError:  # breaks off: what came before counts
        pass
    return finder.clock()


def timed_streams(container: InputContainer) -> list[av.AudioStream | av.VideoStream]:
    """The streams by which the clock is told."""
    streams = [*container.streams.audio, *container.streams.video]
    return [stream for stream in streams if stream.codec_context is not None]

"""Media decoding: any container PyAV reads, as 16 kHz mono audio and 25 fps RGB pictures.

Both streams are placed by presentation time on one timeline whose zero is the start of the file,
so an audio track that starts late begins with silence and a picture that starts late is held
back to the start. N counts audio samples.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

logger = logging.getLogger(__name__)

_AV_TIME_BASE = 1_000_000  # ticks per second of container times
_SEEK_MARGIN_S = 0.5  # seconds before the wanted start, so that audio coders have settled


class MediaError(ValueError):
    """A file that cannot be decoded; the message is one line that names the file and the cause."""


@dataclass
class DecodeReport:
    """What went wrong, and was skipped, while decoding one file.

    Attributes:
        corrupt_video_frames: picture packets or frames that could not be decoded.
        corrupt_audio_frames: the same for audio.
    """

    corrupt_video_frames: int = 0
    corrupt_audio_frames: int = 0

    @property
    def warnings(self) -> list[str]:
        """One sentence for each kind of damage met."""
        found = (("picture", self.corrupt_video_frames), ("audio", self.corrupt_audio_frames))
        return [f"{count} corrupt {kind} frame(s) skipped" for kind, count in found if count]


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """What a file holds, read from its headers.

    Attributes:
        path: the file.
        container: the container's short name, for example ``"mov,mp4"``.
        duration_s: seconds, or None where the header does not say (live recordings).
        has_audio: whether there is a sound track.
        has_video: whether there is a moving picture (cover art does not count).
        fps: the picture's average frame rate, or None.
        width: stored picture width in pixels, before rotation, or None.
        height: stored picture height in pixels, before rotation, or None.
        sample_rate: the sound track's rate in Hz, or None.
        audio_start_s: start of the sound on the common timeline, seconds.
        video_start_s: start of the picture on the common timeline, seconds.
    """

    path: Path
    container: str
    duration_s: float | None
    has_audio: bool
    has_video: bool
    fps: float | None
    width: int | None
    height: int | None
    sample_rate: int | None
    audio_start_s: float
    video_start_s: float


def probe(path: str | Path) -> MediaInfo:
    """Read what a file holds.

    Args:
        path: a media file.

    Returns:
        Its description. At least one of ``has_audio`` and ``has_video`` is true.

    Raises:
        MediaError: if the file is missing, a folder, empty, truncated, not media, of zero
            length, or holds neither sound nor picture.
    """
    path = Path(path)
    with _open(path) as container:
        audio, video = _streams(container)
        if audio is None and video is None:
            raise MediaError(f"{path}: holds neither a sound nor a picture track")
        duration_s = _duration_s(container)
        if not duration_s and not _has_content(container):
            raise MediaError(f"{path}: has zero length (neither sound nor picture); record again")
        origin = _origin(container)
        return MediaInfo(
            path=path,
            container=container.format.name,
            duration_s=duration_s,
            has_audio=audio is not None,
            has_video=video is not None,
            fps=float(video.average_rate) if video and video.average_rate else None,
            width=video.width if video else None,
            height=video.height if video else None,
            sample_rate=audio.rate if audio else None,
            audio_start_s=float(_start(audio) - origin) if audio else 0.0,
            video_start_s=float(_start(video) - origin) if video else 0.0,
        )


def iter_video(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    report: DecodeReport | None = None,
) -> Iterator[np.ndarray]:
    """Decode the picture at exactly 25 frames per second, as a stream.

    Output frame k shows what is on screen at ``start + (k + 0.5) / 25`` s, which neither drifts
    nor lags for any source rate. Before the first and across lost frames the nearest earlier (at
    the start: first) picture is repeated. Memory stays bounded whatever the length.

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
    with _open(path) as container:
        stream = _streams(container)[1]
        if stream is None:
            raise MediaError(f"{path}: has no picture; use --modality audio")
        stream.thread_type = "AUTO"
        origin = _origin(container) + Fraction(start).limit_denominator(_AV_TIME_BASE)
        _seek(container, origin)
        n_wanted = math.inf if end is None else max(0, round((end - start) * VIDEO_FPS))
        n_done = 0
        shown: av.VideoFrame | None = None
        picture: np.ndarray | None = None
        shown_until = Fraction(0)
        for frame, time in _timed_video(container, stream, report):
            time -= origin
            if shown is not None:
                n_due = _frames_before(time)
                while n_done < min(n_due, n_wanted):
                    if picture is None:
                        picture = _upright_rgb(shown, stream)
                    yield picture
                    n_done += 1
            if n_done >= n_wanted:
                return
            shown, picture = frame, None
            shown_until = time + _frame_duration(frame, stream)
        if shown is None:
            raise MediaError(f"{path}: none of its picture frames can be decoded")
        n_due = _frames_before(shown_until)
        while n_done < min(n_due, n_wanted):
            if picture is None:
                picture = _upright_rgb(shown, stream)
            yield picture
            n_done += 1


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
    path = Path(path)
    report = report if report is not None else DecodeReport()
    start = max(0.0, start or 0.0)
    with _open(path) as container:
        stream = _streams(container)[0]
        if stream is None:
            raise MediaError(f"{path}: has no sound; use --modality video")
        origin = _origin(container) + Fraction(start).limit_denominator(_AV_TIME_BASE)
        _seek(container, origin)
        track = _AudioTrack()
        for frame in _frames(container, stream, report):
            time = _time(frame)
            time = None if time is None else time - origin
            if end is not None and time is not None and time > end - start:
                break
            track.append(frame, time)
        if track.n_frames == 0:
            raise MediaError(f"{path}: none of its sound frames can be decoded")
        waveform = track.finish()
    return waveform if end is None else waveform[: max(0, round((end - start) * SAMPLE_RATE))]


@dataclass
class _AudioTrack:
    """Collects audio frames of one rate or another on a 16 kHz timeline that starts at 0."""

    n_frames: int = 0
    _pieces: list[tuple[int, np.ndarray]] = field(default_factory=list)  # (first sample, samples)
    _resampler: av.AudioResampler | None = None
    _position: int = 0  # first output sample of the run being resampled
    _run: list[np.ndarray] = field(default_factory=list)
    _expected: Fraction = Fraction(0)  # time at which the next frame continues the run

    def append(self, frame: av.AudioFrame, time: Fraction | None) -> None:
        """Add a frame that is heard at ``time`` seconds (None: right after the previous one)."""
        time = self._expected if time is None else time
        if self._resampler is None or abs(time - self._expected) > Fraction(1, VIDEO_FPS):
            self._end_run()
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            self._position = round(time * SAMPLE_RATE)
            self._expected = time
        self.n_frames += 1
        self._expected += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None  # the run is contiguous; small time jitter must not reach the resampler
        self._run += [out.to_ndarray().reshape(-1) for out in self._resampler.resample(frame)]

    def finish(self) -> np.ndarray:
        """Return everything heard from time 0 on: [N] float32."""
        self._end_run()
        n_samples = max((first + len(piece) for first, piece in self._pieces), default=0)
        waveform = np.zeros(max(0, n_samples), dtype=np.float32)
        for first, piece in self._pieces:
            piece = piece[max(0, -first) :]
            waveform[max(0, first) : max(0, first) + len(piece)] = piece
        return waveform

    def _end_run(self) -> None:
        if self._resampler is not None:
            self._run += [out.to_ndarray().reshape(-1) for out in self._resampler.resample(None)]
            if self._run:
                self._pieces.append((self._position, np.concatenate(self._run)))
        self._resampler, self._run = None, []


def _open(path: Path) -> InputContainer:
    if not path.exists():
        raise MediaError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise MediaError(f"{path}: is a folder, not a media file; name the files in it")
    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path}: is empty (0 bytes); copy or record it again")
        return av.open(str(path), metadata_errors="ignore")
    except PermissionError:
        raise MediaError(f"{path}: may not be read; check its permissions") from None
    except FFmpegError as error:
        if _looks_like_media(path):
            raise MediaError(
                f"{path}: is truncated or damaged ({_cause(error)}); copy it again"
            ) from None
        raise MediaError(f"{path}: is not a media file that can be decoded") from None


def _cause(error: FFmpegError) -> str:
    return " ".join(str(error.strerror or error).split()).rstrip(".")


def _looks_like_media(path: Path) -> bool:
    """Whether the first bytes are those of a well-known container."""
    with path.open("rb") as file:
        head = file.read(64)
    marks = (b"RIFF", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"FLV", b"\x00\x00\x01\xba", b"ID3")
    return head.startswith(marks) or head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide")


def _streams(
    container: InputContainer,
) -> tuple[av.AudioStream | None, av.VideoStream | None]:
    """The first sound track and the first moving picture (cover art is not one)."""
    audio = next((s for s in container.streams.audio if s.codec_context is not None), None)
    moving = (
        s
        for s in container.streams.video
        if s.codec_context is not None and not s.disposition & Disposition.attached_pic
    )
    return audio, next(moving, None)


def _start(stream: av.AudioStream | av.VideoStream) -> Fraction:
    if stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base


def _origin(container: InputContainer) -> Fraction:
    """Time zero of the common timeline, in the container's own time (s).

    The earlier of the two tracks' starts; the picture's start where they differ by less than one
    frame, so that an audio coder's lead-in does not shift the frame grid.
    """
    audio, video = _streams(container)
    if audio is None or video is None:
        stream = video or audio
        return _start(stream) if stream else Fraction(0)
    apart = _start(audio) - _start(video)
    return (
        _start(video) if abs(apart) < Fraction(1, VIDEO_FPS) else min(_start(audio), _start(video))
    )


def _duration_s(container: InputContainer) -> float | None:
    if container.duration is not None and container.duration > 0:
        return container.duration / _AV_TIME_BASE
    ends = [s.duration * s.time_base for s in container.streams if s.duration and s.time_base]
    return float(max(ends)) if ends else None


def _has_content(container: InputContainer) -> bool:
    streams = [stream for stream in _streams(container) if stream is not None]
    try:
        return any(packet.size > 0 for packet in container.demux(streams))
    except FFmpegError:
        return False


def _seek(container: InputContainer, time: Fraction) -> None:
    """Go to a key frame before ``time``; where a container cannot, decoding starts at its start."""
    if time - _origin(container) <= 0:
        return
    try:
        container.seek(int((time - Fraction(_SEEK_MARGIN_S)) * _AV_TIME_BASE))
    except FFmpegError:
        logger.debug("%s: cannot seek, decoding from the start", container.name)


def _frames(
    container: InputContainer, stream: av.AudioStream | av.VideoStream, report: DecodeReport
) -> Iterator:
    """Yield decoded frames; damaged packets and frames are counted and skipped."""
    kind = f"corrupt_{stream.type}_frames"

    def count() -> None:
        setattr(report, kind, getattr(report, kind) + 1)

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:  # the container itself breaks off here
            count()
            return
        if packet is None:
            return
        try:
            frames: list[Any] = packet.decode()
        except FFmpegError:
            count()
            continue
        for frame in frames:
            if frame.is_corrupt:
                count()
            else:
                yield frame


def _time(frame: av.AudioFrame | av.VideoFrame) -> Fraction | None:
    """Presentation time in seconds of the container's clock, None where the file has none."""
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _frame_duration(frame: av.VideoFrame, stream: av.VideoStream) -> Fraction:
    if frame.duration and frame.time_base:
        return frame.duration * frame.time_base
    return 1 / (stream.average_rate or stream.guessed_rate or Fraction(VIDEO_FPS))


def _timed_video(
    container: InputContainer, stream: av.VideoStream, report: DecodeReport
) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Yield frames with their presentation times (s), made strictly increasing."""
    last: Fraction | None = None
    for frame in _frames(container, stream, report):
        step = _frame_duration(frame, stream)
        time = _time(frame)
        if time is None or (last is not None and time <= last):
            time = last + step if last is not None else _start(stream)
        last = time
        yield frame, time


def _frames_before(time: Fraction) -> int:
    """How many output frames have their middle before ``time``."""
    return max(0, math.ceil(time * VIDEO_FPS - Fraction(1, 2)))


def _upright_rgb(frame: av.VideoFrame, stream: av.VideoStream) -> np.ndarray:
    """Convert to RGB [H, W, 3] uint8 as shown: square pixels, display matrix applied."""
    aspect = stream.sample_aspect_ratio
    width = round(frame.width * aspect) if aspect else frame.width
    picture = frame.reformat(width=width, format="rgb24").to_ndarray()
    side_data: Any = frame.side_data
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return picture
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if abs(b) > abs(a):  # a quarter turn: rows become columns
        a, d = c, b
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])

"""Media files as containers: opening them with clear errors, their tracks and their timeline."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from avsr_frontends.clock import clock_of, is_bare
from avsr_frontends.rates import VIDEO_FPS

AV_TIME_BASE = 1_000_000  # ticks per second of container times
_LONGEST_S = 24 * 3600  # a day: recordings of unknown length do not last longer
_DURATION_TOLERANCE_S = 5  # by which headers may understate the length

Track = av.AudioStream | av.VideoStream


class MediaError(ValueError):
    """A file that cannot be decoded; the message is one line that names the file and the cause."""


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
    with open_media(path) as container:
        audio, video = tracks(container)
        if audio is None and video is None:
            raise MediaError(f"{path}: holds neither a sound nor a picture track")
        duration_s = _duration_s(container, path)
        if not _has_content(container):
            if duration_s:
                raise MediaError(f"{path}: is truncated, its content is missing; copy it again")
            raise MediaError(f"{path}: has zero length (neither sound nor picture); record again")
        zero = timeline_zero(container)
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
            audio_start_s=float(track_start(audio) - zero) if audio else 0.0,
            video_start_s=float(track_start(video) - zero) if video else 0.0,
        )


def open_media(path: Path) -> InputContainer:
    """Open a file for reading; close it, or use it in a ``with`` statement.

    Raises:
        MediaError: with its own message for each way in which this can fail.
    """
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
            cause = " ".join(str(error.strerror or error).split()).rstrip(".")
            raise MediaError(f"{path}: is truncated or damaged ({cause}); copy it again") from None
        raise MediaError(f"{path}: is not a media file that can be decoded") from None


def tracks(container: InputContainer) -> tuple[av.AudioStream | None, av.VideoStream | None]:
    """Choose the first sound track and the first moving picture; cover art is not one."""
    audio = (s for s in container.streams.audio if s.codec_context is not None)
    video = (
        s
        for s in container.streams.video
        if s.codec_context is not None and not s.disposition & Disposition.attached_pic
    )
    return next(audio, None), next(video, None)


def track_start(track: Track) -> Fraction:
    """When a track starts, in seconds of the container's own clock."""
    if track.start_time is None or track.time_base is None:
        return Fraction(0)
    return track.start_time * track.time_base


def timeline_zero(container: InputContainer) -> Fraction:
    """Time zero of the file's common timeline, in seconds of the container's own clock.

    The earlier of the two tracks' starts; the picture's start where they differ by less than one
    frame, so that an audio coder's lead-in does not shift the frame grid.
    """
    starts = [track_start(track) for track in tracks(container) if track is not None]
    if len(starts) == 2 and abs(starts[0] - starts[1]) < Fraction(1, VIDEO_FPS):
        return starts[1]
    return min(starts, default=Fraction(0))


def latest_time(container: InputContainer, path: Path) -> Fraction:
    """After when no frame can be, in seconds of the container's own clock."""
    duration_s = _duration_s(container, path)
    if duration_s is None:
        return Fraction(_LONGEST_S)
    return timeline_zero(container) + Fraction(duration_s) + _DURATION_TOLERANCE_S


def has_stated_length(container: InputContainer, track: Track) -> bool:
    """Whether the headers say how long a track is; other lengths are guesses by its bit rate."""
    name = container.format.name
    if name == "wav":
        return track.codec_context.name.startswith("pcm_")
    return not is_bare(container) and (name != "avi" or track.type == "video")


def _duration_s(container: InputContainer, path: Path) -> float | None:
    clock = clock_of(container, path)
    if clock is not None:
        return max(0.0, float(clock.end - timeline_zero(container))) or None
    if container.duration is not None and container.duration > 0:
        return container.duration / AV_TIME_BASE
    ends = [s.duration * s.time_base for s in container.streams if s.duration and s.time_base]
    return float(max(ends)) if ends else None


def _has_content(container: InputContainer) -> bool:
    chosen = [track for track in tracks(container) if track is not None]
    try:
        return any(packet.size > 0 for packet in container.demux(chosen))
    except FFmpegError:
        return False


def _looks_like_media(path: Path) -> bool:
    """Whether the first bytes are those of a well-known container."""
    with path.open("rb") as file:
        head = file.read(16)
    marks = (b"RIFF", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"FLV", b"\x00\x00\x01\xba", b"ID3")
    return head.startswith(marks) or head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide")

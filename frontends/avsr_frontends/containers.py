"""Media files as containers: opening them with clear errors, their tracks and their timeline."""

import os
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from avsr_frontends.clock import Clock, clock_of, is_bare, measured_clock
from avsr_frontends.links import Link, links_of, open_file
from avsr_frontends.rates import VIDEO_FPS
from avsr_frontends.signatures import is_encrypted, is_playlist, looks_like_media
from avsr_frontends.sound_tracks import (
    AudioTrackWish,
    NoSuchTrackError,
    SoundTrack,
    choose_sound_track,
    list_sound_tracks,
)

AV_TIME_BASE = 1_000_000  # ticks per second of container times
_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
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
        has_video: whether there is a moving picture; cover art, and a single picture beside
            sound, do not count.
        fps: the picture's average frame rate, or None.
        width: stored picture width in pixels, before rotation, or None.
        height: stored picture height in pixels, before rotation, or None.
        sample_rate: the sound track's rate in Hz, or None.
        audio_start_s: start of the sound on the common timeline, seconds.
        video_start_s: start of the picture on the common timeline, seconds.
        sound_tracks: those that can be decoded, the one meant to be heard first.
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
    sound_tracks: tuple[SoundTrack, ...] = ()


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
        if "mp4" in container.format.name and is_encrypted(path):
            raise MediaError(f"{path}: is encrypted (DRM); give a copy that is not")
        if audio is None and video is None:
            raise MediaError(f"{path}: holds neither a sound nor a picture track")
        duration_s = duration_of(container, path)
        n_packets = _count_packets(container)
        if not n_packets:
            if duration_s:
                raise MediaError(f"{path}: is truncated, its content is missing; copy it again")
            raise MediaError(f"{path}: has zero length (neither sound nor picture); record again")
        zero = timeline_zero(container)
        return MediaInfo(
            path=path,
            container=container.format.name,
            duration_s=duration_s,
            has_audio=audio is not None,
            has_video=video is not None and (audio is None or n_packets["video"] != 1),
            fps=float(video.average_rate) if video and video.average_rate else None,
            width=video.width if video else None,
            height=video.height if video else None,
            sample_rate=audio.rate if audio else None,
            audio_start_s=float(track_start(audio) - zero) if audio else 0.0,
            video_start_s=float(track_start(video) - zero) if video else 0.0,
            sound_tracks=tuple(track for track, _ in list_sound_tracks(container)),
        )


def open_media(path: Path) -> InputContainer:
    """Open a file for reading; close it, or use it in a ``with`` statement.

    Raises:
        MediaError: with its own message for each way in which this can fail.
    """
    if not path.exists():
        is_foreign = os.sep != "\\" and "\\" in str(path)
        hint = "write it with / as on this machine" if is_foreign else "check the path"
        raise MediaError(f"{path}: no such file; {hint}")
    if path.is_dir():
        raise MediaError(f"{path}: is a folder, not a media file; name the files in it")
    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path}: is empty (0 bytes); copy or record it again")
        if is_playlist(path):
            raise MediaError(f"{path}: is a playlist, which holds no sound; name the files in it")
        return open_file(path)
    except PermissionError:
        raise MediaError(f"{path}: may not be read; check its permissions") from None
    except FFmpegError as error:
        if looks_like_media(path):
            cause = " ".join(str(error.strerror or error).split()).rstrip(".")
            raise MediaError(f"{path}: is truncated or damaged ({cause}); copy it again") from None
        raise MediaError(f"{path}: is not a media file that can be decoded") from None


def tracks(
    container: InputContainer, audio_track: AudioTrackWish | None = None
) -> tuple[av.AudioStream | None, av.VideoStream | None]:
    """Choose the sound track that is wanted or meant to be heard, and the moving picture.

    Of several pictures the one marked as default counts, else the first; cover art is none.

    Raises:
        MediaError: if the file has sound, but not the track that is asked for.
    """
    video = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _STILLS
    ]
    video.sort(key=lambda stream: not stream.disposition & Disposition.default)
    try:
        audio = choose_sound_track(container, audio_track)
    except NoSuchTrackError as error:
        raise MediaError(f"{container.name.removeprefix('file:')}: {error}") from None
    return audio, video[0] if video else None


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


def latest_time(container: InputContainer, clock: Clock | None) -> Fraction:
    """After when no frame can be, in seconds of the container's own clock."""
    duration_s = _header_duration_s(container) if clock is None else None
    if clock is not None:
        return clock.end + _DURATION_TOLERANCE_S
    if duration_s is None:
        return Fraction(_LONGEST_S)
    return timeline_zero(container) + Fraction(duration_s) + _DURATION_TOLERANCE_S


def has_stated_length(container: InputContainer, track: Track) -> bool:
    """Whether the headers say how long a track is; other lengths are guesses by its bit rate."""
    name = container.format.name
    if name == "wav":
        return track.codec_context.name.startswith("pcm_")
    if name.startswith("matroska"):  # FFmpeg gives other tracks the length of the file
        return "DURATION" in track.metadata
    return not is_bare(container) and (name != "avi" or track.type == "video")


def duration_of(container: InputContainer, path: Path) -> float | None:
    """Seconds from time zero to the end; None where the headers do not say, for recordings."""
    if links := links_of(path, container.format.name):
        return float(sum(link_length(path, link) for link in links))
    clock = clock_of(container, path)
    if clock is not None:
        return max(0.0, float(clock.end - timeline_zero(container))) or None
    return _header_duration_s(container)


def link_length(path: Path, link: Link) -> Fraction:
    """Seconds from the time zero of a link to its end; 0 where it cannot be opened."""
    try:
        with open_file(path, link) as container:
            stated, zero = _header_duration_s(container), timeline_zero(container)
    except FFmpegError:
        return Fraction(0)
    if stated is not None:
        return Fraction(round(stated * AV_TIME_BASE), AV_TIME_BASE)
    return max(Fraction(0), measured_clock(path, link).end - zero)


def _header_duration_s(container: InputContainer) -> float | None:
    seconds: float | None = None
    if container.duration is not None and container.duration > 0:
        seconds = container.duration / AV_TIME_BASE
    elif ends := [
        s.duration * s.time_base for s in container.streams if s.duration and s.time_base
    ]:
        seconds = float(max(ends))
    return seconds if seconds is None or seconds < _LONGEST_S else None


def _count_packets(container: InputContainer) -> Counter[str]:
    """Packets with content at the beginning of each kind of track: none, one or more."""
    chosen = [track for track in tracks(container) if track is not None]
    found: Counter[str] = Counter()
    try:
        for packet in container.demux(chosen):
            found[packet.stream.type] += packet.size > 0
            if all(found[track.type] > 1 for track in chosen if track.type == "video") and found:
                break
    except FFmpegError:
        pass
    return +found

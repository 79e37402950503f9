"""One clip as arrays: its sound, its mouth crops, and what was met while reading them.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avsr.timings import Timings
from avsr_frontends.landmarks import FaceTrack, FaceTracker, TrackReport
from avsr_frontends.media import DecodeReport, MediaError, MediaInfo, probe, read_audio
from avsr_frontends.mouth import NoFaceError, extract_mouth
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

SILENCE_PEAK = 1e-4  # full scale is 1; below -80 dB nothing was recorded


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a model can be given of one file.

    Attributes:
        audio: [N] float32, 16 kHz mono; None without a sound track or where it was not asked for.
        mouth: [T, 96, 96] or [T, 96, 96, 3] uint8, 25 fps; None where no face was found.
        face: how well the face was followed; None without a picture or where it was not asked for.
        warnings: one sentence for each damage met while decoding.
        undecodable: the tracks ("sound", "picture") that are there but cannot be decoded.
    """

    audio: np.ndarray | None = None
    mouth: np.ndarray | None = None
    face: TrackReport | None = None
    warnings: tuple[str, ...] = ()
    undecodable: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the longer stream in seconds."""
        n_samples = 0 if self.audio is None else len(self.audio)
        n_frames = len(self.mouth) if self.mouth is not None else 0
        if self.face is not None:
            n_frames = max(n_frames, self.face.n_frames)
        return max(n_samples / SAMPLE_RATE, n_frames / VIDEO_FPS)

    @property
    def is_silent(self) -> bool:
        """Whether the sound track holds nothing above -80 dB."""
        return self.audio is not None and float(np.abs(self.audio).max(initial=0.0)) < SILENCE_PEAK

    def cut(self, start: float, end: float) -> "Clip":
        """The part between two times in seconds; the face report is that of the whole clip."""
        samples = slice(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        frames = slice(round(start * VIDEO_FPS), round(end * VIDEO_FPS))
        return replace(
            self,
            audio=None if self.audio is None else self.audio[samples],
            mouth=None if self.mouth is None else self.mouth[frames],
        )


def read_clip(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    *,
    sound: bool = True,
    picture: bool = True,
    timings: Timings | None = None,
) -> Clip:
    """Decode a file and find the mouth in its picture.

    A track that cannot be decoded is left out with a warning where the other one can.

    Args:
        path: a media file.
        start: seconds within the file; None is its beginning.
        end: seconds within the file; None is its end.
        sound: whether the sound is wanted.
        picture: whether the picture is wanted.
        timings: receives the stages ``decode``, ``imports`` (of mediapipe) and ``face``.

    Raises:
        MediaError: if the file, or the only wanted track in it, cannot be read.
    """
    timings = timings or Timings()
    with timings.measure("decode"):
        info = probe(path)
    audio, mouth, face = None, None, None
    warnings: list[str] = []
    failures: dict[str, MediaError] = {}
    if sound and info.has_audio:
        decoding = DecodeReport()
        try:
            with timings.measure("decode"):
                audio = read_audio(path, start, end, decoding)
        except MediaError as error:
            failures["sound"] = error
        warnings += decoding.warnings
    if picture and info.has_video:
        try:
            mouth, face, damage = _read_mouth(info, start, end, timings)
            warnings += damage
        except MediaError as error:
            failures["picture"] = error
    if failures and audio is None and face is None:
        raise next(iter(failures.values()))
    return Clip(
        audio=audio,
        mouth=mouth,
        face=face,
        warnings=(*warnings, *map(str, failures.values())),
        undecodable=tuple(failures),
    )


class _MeasuredTracker(FaceTracker):
    """A tracker that counts the time its frames take to decode, and keeps its last report."""

    def __init__(self, timings: Timings) -> None:
        with timings.measure("imports"):
            super().__init__()
        self._timings = timings
        self.report = TrackReport(n_frames=0, coverage=0.0, face_width_px=0.0)

    def track(self, frames: Iterable[np.ndarray]) -> FaceTrack:
        track = super().track(self._timings.measure_items("decode", frames))
        self.report = track.report
        return track


def _read_mouth(
    info: MediaInfo, start: float | None, end: float | None, timings: Timings
) -> tuple[np.ndarray | None, TrackReport, list[str]]:
    tracker = _MeasuredTracker(timings)
    with tracker:
        decode_before = timings.seconds.get("decode", 0.0)
        inner = Timings()
        try:
            with inner.measure("all"):
                mouth = extract_mouth(info.path, start, end, tracker=tracker)
        except NoFaceError:
            return None, tracker.report, []
        finally:
            decode_s = timings.seconds.get("decode", 0.0) - decode_before
            timings.add("face", inner.seconds["all"] - decode_s)
        return mouth.crops, mouth.track, mouth.decoding.warnings

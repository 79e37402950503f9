"""Reading clips: from media files, where the mouth has to be found, or from what is prepared.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from avsr.clip_file import CLIP_SUFFIX, Clip, load_clip
from avsr.manifest import Utterance
from avsr.mouth_video import read_mouth_video
from avsr.timings import Timings
from avsr_frontends.landmarks import FaceTrack, FaceTracker, TrackReport
from avsr_frontends.media import DecodeReport, MediaError, MediaInfo, probe, read_audio
from avsr_frontends.mouth import NoFaceError, extract_mouth

MIN_FACE_COVERAGE = 0.5  # share of frames with a face below which lips are not trusted


class MouthTracker(FaceTracker):
    """A face tracker that counts the time its frames take to decode, and keeps its last report.

    As any face tracker it belongs to one thread and must be closed.

    Attributes:
        timings: where the time goes.
        report: on the track made last.
    """

    def __init__(self, timings: Timings | None = None) -> None:
        self.timings = timings or Timings()
        with self.timings.measure("imports"):
            super().__init__()
        self.report = TrackReport(n_frames=0, coverage=0.0, face_width_px=0.0)

    def track(self, frames: Iterable[np.ndarray]) -> FaceTrack:
        track = super().track(self.timings.measure_items("decode", frames))
        self.report = track.report
        return track


def read_utterance(
    utterance: Utterance,
    *,
    sound: bool = True,
    picture: bool = True,
    tracker: MouthTracker | None = None,
) -> Clip:
    """Read the clip of an utterance, whatever form it is kept in.

    Args:
        utterance: names a media file, one file for the picture (perhaps of mouth crops already)
            and one for the sound, or a file of ``avsr prepare``.
        sound: whether the sound is wanted.
        picture: whether the picture is wanted.
        tracker: a tracker of this thread to use again; None makes one where it is needed.

    Raises:
        MediaError: if the file, or the only wanted track in it, cannot be read.
    """
    path, start, end = utterance.path, utterance.start, utterance.end
    if utterance.audio_path is None and not utterance.cropped:
        return read_clip(path, start, end, sound=sound, picture=picture, tracker=tracker)
    heard = Clip()
    if sound:
        heard = read_clip(utterance.audio_path or path, start, end, picture=False)
    if not picture:
        return heard
    if utterance.cropped:
        mouth, damage = read_mouth_video(path, start, end)
        face = TrackReport(n_frames=len(mouth), coverage=1.0, face_width_px=0.0)
        seen = Clip(mouth=mouth, face=face, warnings=tuple(damage))
    else:
        seen = read_clip(path, start, end, sound=False, tracker=tracker)
    return replace(
        seen,
        audio=heard.audio,
        warnings=(*heard.warnings, *seen.warnings),
        undecodable=(*heard.undecodable, *seen.undecodable),
    )


def read_clip(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    *,
    sound: bool = True,
    picture: bool = True,
    timings: Timings | None = None,
    tracker: MouthTracker | None = None,
) -> Clip:
    """Read a prepared clip, or decode a file and find the mouth in its picture.

    A track that cannot be decoded is left out with a warning where the other one can.

    Args:
        path: a media file, or a ``.npz`` file of ``avsr prepare``.
        start: seconds within the file; None is its beginning.
        end: seconds within the file; None is its end.
        sound: whether the sound is wanted.
        picture: whether the picture is wanted.
        timings: receives the stages ``decode``, ``imports`` (of mediapipe) and ``face``.
        tracker: a tracker of this thread to use again; None makes one where it is needed.

    Raises:
        MediaError: if the file, or the only wanted track in it, cannot be read.
    """
    timings = timings or Timings()
    if Path(path).suffix == CLIP_SUFFIX:
        with timings.measure("decode"):
            clip = load_clip(path, sound=sound, picture=picture)
        whole = start is None and end is None
        return clip if whole else clip.cut(start or 0.0, clip.duration_s if end is None else end)
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
            with ExitStack() as stack:
                if tracker is None:
                    tracker = MouthTracker(timings)
                    stack.enter_context(tracker)
                mouth, face, damage = _find_mouth(info, start, end, timings, tracker)
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


def _find_mouth(
    info: MediaInfo,
    start: float | None,
    end: float | None,
    timings: Timings,
    tracker: MouthTracker,
) -> tuple[np.ndarray | None, TrackReport, list[str]]:
    tracker.timings = timings
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

"""Reading clips: from media files, where the mouth has to be found, or from what is prepared.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

from dataclasses import replace
from pathlib import Path

from avsr.clips.clip import CLIP_SUFFIX, Clip, load_clip
from avsr.clips.mouth_tracker import MouthTracker
from avsr.clips.mouth_video import read_mouth_video
from avsr.clips.reader import ClipReader
from avsr.clips.wanted import Wanted
from avsr.manifest import Utterance
from avsr.timings import Timings
from avsr_frontends.landmarks import TrackReport

__all__ = ["MIN_FACE_COVERAGE", "read_clip", "read_utterance"]

MIN_FACE_COVERAGE = 0.5  # share of frames with a face below which lips are not trusted


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
    wanted = Wanted(start=start or 0.0, end=end, sound=sound, picture=picture)
    with ClipReader(path, wanted, timings=timings, tracker=tracker) as reader:
        clip = reader.read() or Clip()
        return replace(clip, warnings=tuple(reader.warnings))

"""Everybody in a picture, each read by the lips alone, in one labelled transcription."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from avsr.clips.reader import Roi, part_of_pictures
from avsr.clips.sources import STRETCH_S, SourceLike
from avsr.errors import InputError
from avsr.transcription import TranscriptionResult
from avsr_frontends.landmarks import FaceTracker, Roster
from avsr_frontends.media import MediaError, iter_video
from avsr_frontends.rates import VIDEO_FPS


def count_faces(path: Path, start: float | None, end: float | None, roi: Roi | None) -> int:
    """How many people are seen in a video; their numbers are those that its stretches give.

    Raises:
        MediaError: if it cannot be read or has no picture.
        InputError: if ``roi`` is not in the picture.
    """
    roster = Roster()
    frames = part_of_pictures(iter_video(path, start, end), roi)
    with FaceTracker() as tracker:
        for first in frames:
            stretch = itertools.islice(frames, STRETCH_S * VIDEO_FPS - 1)
            tracker.track_faces(itertools.chain([first], stretch), roster)
    return len(roster.people)


def read_every_face(
    source: SourceLike,
    start: float | None,
    end: float | None,
    roi: Roi | None,
    read_face: Callable[[int], TranscriptionResult],
) -> TranscriptionResult:
    """Transcribe each face of a file for itself.

    Args:
        source: a media file.
        start: seconds at which to begin.
        end: seconds at which to stop.
        roi: the part of the picture that is looked at.
        read_face: transcribes the person of a number.

    Returns:
        All texts, a line ``face N: ...`` for each, and all segments in order of time.

    Raises:
        InputError: if the input is no file, cannot be read, or shows no face.
    """
    if not isinstance(source, str | Path):
        raise InputError("face 'all' needs a media file; an array shows one face")
    try:
        n_faces = count_faces(Path(source), start, end, roi)
    except MediaError as error:
        raise InputError(str(error)) from error
    except InputError as error:
        raise InputError(f"{source}: {error}", settings=error.settings) from error
    if n_faces == 0:
        message = f"{source}: no face was found; use modality 'audio'"
        raise InputError(message, settings=("modality",))
    results = {person: read_face(person) for person in range(1, n_faces + 1)}
    segments = [
        replace(segment, face=person)
        for person, result in results.items()
        for segment in result.segments
    ]
    first = results[1]
    return replace(
        first,
        text="\n".join(f"face {person}: {result.text}" for person, result in results.items()),
        segments=tuple(sorted(segments, key=lambda segment: segment.start)),
        reason=f"the lips of {n_faces} face(s), each for itself",
        face=max(
            (result.face for result in results.values() if result.face is not None),
            key=lambda report: report.coverage,
            default=None,
        ),
        warnings=tuple(
            f"face {person}: {warning}"
            for person, result in results.items()
            for warning in result.warnings
        ),
    )

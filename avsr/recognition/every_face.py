"""Everybody in a picture, each read by the lips alone, in one labelled transcription."""

from collections.abc import Callable
from dataclasses import replace

from avsr.clips.clip import Clip, Lips
from avsr.clips.sources import Source
from avsr.errors import InputError
from avsr.recognition.long_form import LongForm
from avsr.recognition.stretch import Stretch
from avsr.transcription import TranscriptionResult
from avsr_frontends.landmarks import TrackReport


def read_every_face(
    source: Source,
    new_reader: Callable[[], LongForm],
    result_of: Callable[[LongForm, list[Stretch]], TranscriptionResult],
) -> TranscriptionResult:
    """Transcribe each face of a file for itself, while the file is read once.

    Args:
        source: the input, with everybody's lips.
        new_reader: makes what reads one person.
        result_of: makes the result of what a reader has read.

    Returns:
        All texts, a line ``face N: ...`` for each, and all segments in order of time.

    Raises:
        MediaError: if the input cannot be read.
        InputError: if it is no file, or shows no face.
    """
    if source.path is None:
        raise InputError("face 'all' needs a media file; an array shows one face")
    readers: dict[int, LongForm] = {}
    stretches: dict[int, list[Stretch]] = {}
    since, n_before = source.start, 0
    for clip, is_last in source.clips():
        lips = {one.person: one for one in clip.faces}
        for person in sorted(lips.keys() - readers.keys()):
            readers[person] = new_reader()
            readers[person].begin(since, is_resumed=since > source.start)
            stretches[person] = [_absence(source.start, since, n_before)] if n_before else []
        for person, reader in readers.items():
            stretches[person].append(reader.add(_of_one(clip, lips.get(person)), is_last))
        n_before += 0 if clip.face is None else clip.face.n_frames
        since += clip.duration_s
    if not readers:
        message = "no face was found; use modality 'audio', or say where a small one is"
        raise InputError(message, settings=("modality", "roi"))
    results = {person: result_of(readers[person], stretches[person]) for person in sorted(readers)}
    return _together(results)


def _of_one(clip: Clip, lips: Lips | None) -> Clip:
    """A clip with the lips of one person alone; without any where that person is not seen."""
    n_frames = 0 if clip.face is None else clip.face.n_frames
    absent = TrackReport(n_frames=n_frames, coverage=0.0, face_width_px=0.0, gaps=[])
    lips = Lips.unseen(0, n_frames) if lips is None else lips
    report = lips.report or absent
    return replace(
        clip,
        mouth=lips.mouth if report.coverage else None,
        lip_motion=lips.motion,
        face=None if clip.face is None else report,
        faces=(),
    )


def _absence(start: float, end: float, n_frames: int) -> Stretch:
    """What is known of a person before the first stretch that shows them."""
    report = TrackReport(n_frames=n_frames, coverage=0.0, face_width_px=0.0, gaps=[(start, end)])
    return Stretch(until=end, length_s=end - start, face=report, reason="the face is not seen")


def _together(results: dict[int, TranscriptionResult]) -> TranscriptionResult:
    segments = [
        replace(segment, face=person)
        for person, result in results.items()
        for segment in result.segments
    ]
    judged = [one.readability for one in results.values() if one.readability is not None]
    reports = [result.face for result in results.values() if result.face is not None]
    return replace(
        next(iter(results.values())),
        text="\n".join(f"face {person}: {result.text}" for person, result in results.items()),
        segments=tuple(sorted(segments, key=lambda segment: segment.start)),
        reason=f"the lips of {len(results)} face(s), each for itself",
        face=max(reports, key=lambda report: report.coverage, default=None),
        readability=min(judged, default=None),
        warnings=tuple(
            f"face {person}: {warning}"
            for person, result in results.items()
            for warning in result.warnings
        ),
    )

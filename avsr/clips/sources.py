"""What can be transcribed, as a sequence of clips: files stretch by stretch, arrays at once.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps, H and W picture size.
"""

import itertools
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from avsr.clips.clip import CLIP_SUFFIX, Clip, load_clip
from avsr.clips.mouth_tracker import MouthTracker
from avsr.clips.read_ahead import ReadAhead
from avsr.clips.reader import ClipReader
from avsr.clips.saved_lips import SavedLips
from avsr.clips.wanted import Wanted
from avsr.errors import InputError
from avsr.timings import Timings
from avsr_frontends.activity import lip_motion
from avsr_frontends.face_models import import_face_models
from avsr_frontends.landmarks import TrackReport
from avsr_frontends.media import MediaError, probe
from avsr_frontends.mouth import crop_mouth, grey_crops
from avsr_frontends.pictures import fits
from avsr_frontends.rates import MOUTH_SIZE, SAMPLE_RATE, VIDEO_FPS

STRETCH_S = 15  # seconds of a file that are decoded at once
_FIRST_S = 5  # the same of the first stretch of a long file, so that its first words come soon
_LONG_S = 2 * STRETCH_S

SourceLike = str | Path | np.ndarray | Tensor | Clip


class Source:
    """One input, read once from a given time on.

    Attributes:
        given: a file, an array or a clip.
        path: the file; None for arrays.
        wanted: what of it is read.
        timings: receives the stages of reading it.
        start: where reading begins, in seconds of the file.
        duration_s: length of what is read, once known; None before, for live recordings.
        whole_s: length of the whole input, once known; None before.
        warnings: damage met while reading; complete after the last stretch.
    """

    def __init__(
        self,
        source: SourceLike,
        wanted: Wanted,
        timings: Timings,
        lips: SavedLips | None = None,
    ) -> None:
        """Name what is to be read; nothing is opened yet."""
        self.path = Path(source) if isinstance(source, str | Path) else None
        self.wanted, self.timings = wanted, timings
        self.start = wanted.start
        self.duration_s: float | None = None
        self.whole_s: float | None = None
        self.warnings: tuple[str, ...] = ()
        self.given, self._lips = source, lips
        self._begun: ReadAhead[tuple[Clip, bool]] | None = None
        self._reader: ClipReader | None = None
        self._is_closed = False

    def begin(self) -> None:
        """Read on from here in a thread of its own, before :meth:`clips` is asked for.

        What that needs to import is imported here: importing in two threads at once may go wrong.
        """
        if self._needs_face():
            import_face_models()
        self._begun = ReadAhead(self._stretches())

    def clips(self) -> Generator[tuple[Clip, bool], None, None]:
        """Yield the clips that make up the input, each with whether it is the last one.

        The next one is made in a thread of its own while one is used.

        Raises:
            MediaError: if a file cannot be read.
            InputError: if an array is neither sound nor pictures, or the wanted face is not there.
        """
        if self._begun is None:
            self._begun = ReadAhead(self._stretches())
        try:
            yield from self._begun
        finally:
            self.close()

    def close(self) -> None:
        """Stop reading, where it has begun."""
        self._is_closed = True
        if self._reader is not None:
            self._reader.stop()
        if self._begun is not None:
            self._begun.close()

    def _needs_face(self) -> bool:
        if self.path is None or self.path.suffix == CLIP_SUFFIX or not self.wanted.picture:
            return False
        try:
            return probe(self.path).has_video
        except MediaError:  # told when it is read
            return False

    def _stretches(self) -> Generator[tuple[Clip, bool], None, None]:
        if self.path is None or self.path.suffix == CLIP_SUFFIX:
            clip = self._at_once()
            whole_s = clip.duration_s
            if self.start or self.wanted.end is not None:
                clip = _cut(clip, self.start, self.wanted.end)
            self.duration_s, self.warnings = clip.duration_s, clip.warnings
            self.whole_s = whole_s
            yield replace(clip, warnings=()), True
            return
        with ClipReader(self.path, self.wanted, timings=self.timings) as reader:
            self._reader = reader
            self.duration_s, self.whole_s = reader.duration_s, reader.whole_s
            is_last = False
            lengths = _lengths(reader.duration_s)
            while not is_last and not self._is_closed:
                length_s = next(lengths)
                clip = reader.read(length_s * VIDEO_FPS) or Clip()
                if self._lips is not None:
                    self._lips.add(clip)
                is_last = clip.duration_s < length_s
                self.warnings = tuple(reader.warnings)
                if is_last and reader.lack_of_face:
                    raise InputError(f"{reader.lack_of_face}; choose among them")
                yield clip, is_last

    def _at_once(self) -> Clip:
        if isinstance(self.given, Clip):
            return self.given
        if self.path is not None:
            wanted = self.wanted
            with self.timings.measure("decode"):
                return load_clip(self.path, sound=wanted.sound, picture=wanted.picture)
        return clip_of_array(self.given, self.timings)


def _lengths(duration_s: float | None) -> Iterator[int]:
    """Seconds of one stretch after the other; all but the first two are alike."""
    is_long = duration_s is not None and duration_s >= _LONG_S
    return itertools.chain(
        (_FIRST_S, STRETCH_S - _FIRST_S) if is_long else (), itertools.repeat(STRETCH_S)
    )


@contextmanager
def naming_errors(source: Source) -> Iterator[None]:
    """Let errors name the file they are about."""
    try:
        yield
    except MediaError as error:
        raise InputError(str(error)) from error
    except InputError as error:
        message = f"{source.path}: {error}" if source.path else str(error)
        raise InputError(message, settings=error.settings) from error


def _cut(clip: Clip, start: float, end: float | None) -> Clip:
    """A part of a clip whose face report counts that part's frames."""
    last = clip.n_frames if end is None else min(clip.n_frames, round(end * VIDEO_FPS))
    part = clip.cut(start, last / VIDEO_FPS)
    if part.face is None:
        return part
    n_frames = max(0, min(last, part.face.n_frames) - round(start * VIDEO_FPS))
    return replace(part, face=replace(part.face, n_frames=n_frames, gaps=[]))


def clip_of_array(values: object, timings: Timings | None = None) -> Clip:
    """Turn an array into a clip.

    Args:
        values: sound, [N] float at 16 kHz; or at 25 fps pictures, [T, H, W, 3] uint8 RGB, or mouth
            crops, [T, 96, 96] uint8. A tensor does as well.
        timings: receives the stage ``face``.

    Raises:
        InputError: if it is anything else.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim == 1 and np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise InputError("the waveform holds values that are not finite; mend it")
        return Clip(audio=array.astype(np.float32))
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[1:] == (MOUTH_SIZE, MOUTH_SIZE):
        face = TrackReport(n_frames=len(array), coverage=1.0, face_width_px=0.0)
        return Clip(mouth=array, face=face)
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] == 3:
        height, width = array.shape[1:3]
        if len(array) and not fits(width, height):
            raise InputError(f"pictures of {width}x{height} cannot be searched; scale them")
        return _clip_of_pictures(array, timings or Timings())
    raise InputError(
        f"an array must be a waveform (one-dimensional floats at {SAMPLE_RATE} Hz), pictures "
        f"[T, H, W, 3] or mouth crops [T, {MOUTH_SIZE}, {MOUTH_SIZE}] (uint8, {VIDEO_FPS} a "
        f"second), got {array.dtype} {list(array.shape)}"
    )


def _clip_of_pictures(pictures: np.ndarray, timings: Timings) -> Clip:
    with MouthTracker(timings) as tracker, timings.measure("face"):
        track = tracker.track(pictures)
        if not track.found.any():
            return Clip(face=track.report)
        motion = np.where(track.found, lip_motion(track.points68), np.float32(np.nan))
        crops = grey_crops(crop_mouth(pictures, track.points68))
    return Clip(mouth=crops, face=track.report, lip_motion=motion)

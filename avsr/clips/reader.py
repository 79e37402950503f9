"""Reading a media file stretch by stretch, so that memory does not grow with its length.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

import itertools
import math
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from avsr.clips.clip import Clip, Lips
from avsr.clips.mouth_tracker import MouthTracker
from avsr.clips.read_ahead import read_ahead
from avsr.clips.roi import part_of_pictures
from avsr.clips.sound_track import choose_sound_track
from avsr.clips.wanted import Wanted
from avsr.timings import Timings
from avsr_frontends.activity import lip_motion, mouth_opening
from avsr_frontends.landmarks import FaceTrack, Roster, joint_report, without_face
from avsr_frontends.media import DecodeReport, MediaError, iter_audio, iter_video, probe
from avsr_frontends.mouth import crop_mouths, grey_crops
from avsr_frontends.mouth_clip import ReplayedFrames
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS

__all__ = ["ClipReader"]

_PICTURES_AHEAD = 2  # decoded while the face is looked for in one before; of 8K 100 MB each
_LATE_S = 0.2  # a picture that begins later than this has a time without it


class ClipReader:
    """Decodes sound and picture side by side and finds the mouth, one stretch after the other.

    A track that cannot be decoded is left out, and named in the clips, where the other one can.
    Use it in a ``with`` statement, in one thread.

    Attributes:
        duration_s: length that the file's header gives for what is read; None if it does not say.
    """

    def __init__(
        self,
        path: str | Path,
        wanted: Wanted | None = None,
        *,
        timings: Timings | None = None,
        tracker: MouthTracker | None = None,
    ) -> None:
        """Open a file.

        Args:
            path: a media file.
            wanted: what of it is read; None is all of it, with the largest face.
            timings: receives the stages ``decode``, ``imports`` (of mediapipe) and ``face``.
            tracker: a tracker of this thread to use again; None makes one where it is needed.

        Raises:
            MediaError: if the file cannot be read, or has no such sound track.
        """
        wanted = wanted or Wanted()
        self._face, self._roi, self._roster = wanted.face, wanted.roi, Roster()
        start, end = wanted.start, wanted.end
        self._path, self._start, self._end = Path(path), start, end
        self._timings = timings or Timings()
        self._tracker = tracker
        self._stack = ExitStack()
        with self._timings.measure("decode"):
            info = probe(path)
        whole_s = math.inf if info.duration_s is None else info.duration_s
        length_s = min(whole_s, math.inf if end is None else end) - self._start
        self.duration_s = max(0.0, length_s) if math.isfinite(length_s) else None
        self.whole_s = info.duration_s
        self._heard, self._seen = DecodeReport(), DecodeReport()
        self._failures: dict[str, MediaError] = {}
        self._choice = ""  # which of several sound tracks is read
        self._audio: Iterator[np.ndarray] | None = None
        self._video: Iterator[np.ndarray] | None = None
        if wanted.sound and info.has_audio:
            track = wanted.audio_track
            with self._timings.measure("decode"):
                chosen, self._choice = choose_sound_track(self._path, info, track, start, end)
            self._audio = iter_audio(path, start, end, self._heard, chosen)
        if wanted.picture and info.has_video:
            pictures = read_ahead(iter_video(path, start, end, self._seen), _PICTURES_AHEAD)
            self._video = part_of_pictures(self._until_stopped(pictures), self._roi)
        self._heard_ahead = np.zeros(0, dtype=np.float32)
        self._n_read = 0  # pictures
        late_s = info.video_start_s - self._start  # before it, the first picture is shown
        self._n_held = round(late_s * VIDEO_FPS) if late_s >= _LATE_S else 0
        self._has_begun = False
        self._is_missing = False  # the wanted person, in all that was read
        self._stopped = threading.Event()

    @property
    def warnings(self) -> list[str]:
        """One sentence for each damage met so far."""
        failures = [str(error) for error in self._failures.values()]
        if self._choice:
            failures.insert(0, self._choice)
        return [*self._heard.warnings, *self._seen.warnings, *failures]

    @property
    def is_beyond_end(self) -> bool:
        """Whether reading begins after the end that the file names."""
        return self.whole_s is not None and 0 < self.whole_s <= self._start

    @property
    def lack_of_face(self) -> str:
        """Why the person of the wanted number is not there; empty where it is, or nobody is."""
        n_people = len(self._roster.people)
        if not self._is_missing or not n_people:
            return ""
        return f"shows {n_people} face{'s' * (n_people > 1)}, there is no face {self._face}"

    def read(self, n_frames: int | None = None) -> Clip | None:
        """Read the next stretch.

        Args:
            n_frames: its length in video frames; None is all that is left.

        Returns:
            The stretch, shorter where the file ends; None where nothing is left.

        Raises:
            MediaError: if the only wanted track cannot be read.
        """
        audio = self._read_sound(n_frames)
        seen = self._read_picture(n_frames)
        face = seen.face
        if self._failures and audio is None and face is None:
            if self.is_beyond_end:
                raise MediaError(f"{self._path}: {beyond_end(self._start, self.whole_s)}")
            raise next(iter(self._failures.values()))
        n_samples = 0 if audio is None else len(audio)
        if n_samples == 0 and (face is None or face.n_frames == 0) and self._has_begun:
            return None
        self._has_begun = True
        return replace(seen, audio=audio, undecodable=tuple(self._failures))

    def stop(self) -> None:
        """End a :meth:`read` that goes on in another thread: nothing of it is wanted any more."""
        self._stopped.set()

    def close(self) -> None:
        """Close the file, and the tracker where it was made here."""
        for stream in (self._audio, self._video):
            if isinstance(stream, Generator):
                stream.close()
        self._stack.close()

    def __enter__(self) -> "ClipReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read_sound(self, n_frames: int | None) -> np.ndarray | None:
        """The next stretch of sound, [N]; None where there is none in the file."""
        if self._audio is None:
            return None
        n_wanted = math.inf if n_frames is None else n_frames * SAMPLES_PER_VIDEO_FRAME
        pieces = [self._heard_ahead]
        n_have = len(self._heard_ahead)
        try:
            with self._timings.measure("decode"):
                while n_have < n_wanted and (piece := next(self._audio, None)) is not None:
                    pieces.append(piece)
                    n_have += len(piece)
        except MediaError as error:
            self._failures["sound"] = error
            self._audio = None
            return None
        heard = np.concatenate(pieces)
        n_taken = int(min(n_wanted, n_have))
        self._heard_ahead = heard[n_taken:].copy()
        return heard[:n_taken]

    def _read_picture(self, n_frames: int | None) -> Clip:
        """The next stretch of mouth crops, how the face was followed, and lip motion."""
        if self._video is None:
            return Clip()
        since = self._start + self._n_read / VIDEO_FPS
        frames = ReplayedFrames(
            itertools.islice(self._video, n_frames), lambda: self._decode_again(since, n_frames)
        )
        decode_before = self._timings.seconds.get("decode", 0.0)
        inner = Timings()
        try:
            with inner.measure("all"):
                tracks = self._tracks(frames)
                report = joint_report(tracks)
                self._n_read += report.n_frames
                if report.coverage == 0:
                    return Clip(face=report, lip_motion=_unseen(report.n_frames))
                points, cuts = [track.points68 for track in tracks], tracks[0].cuts
                crops = crop_mouths(frames.replay(), points, cuts=cuts)
        except MediaError as error:
            self._failures["picture"] = error
            self._video = None
            return Clip()
        finally:
            decode_s = self._timings.seconds.get("decode", 0.0) - decode_before
            self._timings.add("face", max(0.0, inner.seconds["all"] - decode_s))
        n_held = max(0, self._n_held - (self._n_read - report.n_frames))
        lips = [
            _lips(track, grey_crops(mouth), n_held)
            for track, mouth in zip(tracks, crops, strict=True)
        ]
        motion = lips[0].motion
        for one in lips[1:]:
            motion = np.fmax(motion, one.motion)
        longest = max(range(len(tracks)), key=lambda index: tracks[index].report.coverage)
        begins = (n_held,) if 0 < n_held < report.n_frames else ()
        return Clip(
            mouth=lips[longest].mouth,
            face=report,
            lip_motion=motion,
            faces=tuple(lips) if self._face == "speaking" else (),
            borders=(*begins, *(border for border in tracks[0].borders if border > n_held)),
        )

    def _until_stopped(
        self, pictures: Generator[np.ndarray, None, None]
    ) -> Generator[np.ndarray, None, None]:
        with closing(pictures):
            for picture in pictures:
                if self._stopped.is_set():
                    return
                yield picture

    def _tracks(self, frames: Iterable[np.ndarray]) -> list[FaceTrack]:
        """The faces that are wanted; a track without a face where none of them is seen."""
        tracker = self._own_tracker()
        if self._face == "largest":
            return [tracker.track(frames)]
        tracks = tracker.track_faces(frames, self._roster)
        if self._face == "speaking":
            return tracks
        wanted = [track for track in tracks if track.person == self._face]
        self._is_missing = all(one.person != self._face for one in self._roster.people)
        return wanted or [without_face(len(tracks[0].found))]

    def _own_tracker(self) -> MouthTracker:
        if self._tracker is None:
            self._tracker = MouthTracker(self._timings)
            self._stack.callback(self._tracker.close)
        self._tracker.timings = self._timings
        return self._tracker

    def _decode_again(self, since: float, n_frames: int | None) -> Iterator[np.ndarray]:
        frames = iter_video(self._path, since, self._end)
        return itertools.islice(part_of_pictures(frames, self._roi), n_frames)


def beyond_end(start: float, whole_s: float | None) -> str:
    """What to say where nothing is left from a start on."""
    length = "" if whole_s is None else f", it is {whole_s:.2f} s long"
    return f"ends before the start that was asked for ({start:g} s){length}"


def _lips(track: FaceTrack, mouth: np.ndarray, n_held: int) -> Lips:
    """The lips of a track; of its first ``n_held`` frames there is no picture yet."""
    motion = np.where(track.found, lip_motion(track.points68), np.float32(np.nan))
    motion[:n_held] = np.nan
    return Lips(
        person=track.person,
        mouth=mouth,
        motion=motion,
        opening=mouth_opening(track.points68).astype(np.float32),
        report=track.report,
    )


def _unseen(n_frames: int) -> np.ndarray:
    return np.full(n_frames, np.nan, dtype=np.float32)

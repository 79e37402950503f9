"""From a video file to the mouth crops of the person in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsr_frontends.landmarks import FaceTracker, TrackReport
from avsr_frontends.media import DecodeReport, iter_video
from avsr_frontends.mouth import crop_mouths, grey_crops

_KEEP_BYTES = 256_000_000  # decoded pictures kept until they are cut; beyond, decode again


class NoFaceError(ValueError):
    """A picture track in which no usable face was found; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class MouthClip:
    """The mouth of one person through one clip.

    Attributes:
        crops: [T, 96, 96] grey or [T, 96, 96, 3] RGB, uint8, 25 frames per second.
        points68: [T, 68, 2] float32 face points in pixels of the upright picture.
        track: how well the face was followed.
        decoding: what had to be skipped while decoding.
    """

    crops: np.ndarray
    points68: np.ndarray
    track: TrackReport
    decoding: DecodeReport


def extract_mouth(
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    *,
    tracker: FaceTracker | None = None,
    colour: bool = False,
) -> MouthClip:
    """Go from a video file to the mouth crops of the person in it.

    Decoded pictures are kept only for short clips; long ones are decoded twice, so memory grows
    with the crops alone (9 kB a frame).

    Args:
        path: a media file.
        start: seconds on the file's timeline; None is the beginning.
        end: seconds; None is the end.
        tracker: a tracker of this thread to reuse; None makes one and closes it.
        colour: keep RGB instead of grey.

    Returns:
        The crops with the reports on tracking and decoding.

    Raises:
        MediaError: if the file cannot be read or has no picture.
        NoFaceError: if no face is found in it.
    """
    if tracker is None:
        with FaceTracker() as tracker:
            return extract_mouth(path, start, end, tracker=tracker, colour=colour)
    decoding = DecodeReport()
    frames = ReplayedFrames(
        iter_video(path, start, end, decoding), lambda: iter_video(path, start, end)
    )
    track = tracker.track(frames)
    if not track.found.any():
        raise NoFaceError(
            f"{path}: no face found in {track.report.n_frames} frames; "
            "film the face from the front and nearer"
        )
    crops = crop_mouths(frames.replay(), [track.points68], cuts=track.cuts)[0]
    return MouthClip(
        crops=crops if colour else grey_crops(crops),
        points68=track.points68,
        track=track.report,
        decoding=decoding,
    )


class ReplayedFrames:
    """Pictures that are needed twice: kept while they are small enough, else decoded again."""

    def __init__(
        self,
        frames: Iterable[np.ndarray],
        decode_again: Callable[[], Iterable[np.ndarray]],
        keep_bytes: int = _KEEP_BYTES,
    ) -> None:
        """Wrap a stream.

        Args:
            frames: the pictures, read once.
            decode_again: gives the same pictures once more.
            keep_bytes: how much memory they may take.
        """
        self._frames = frames
        self._decode_again = decode_again
        self._keep_bytes = keep_bytes
        self._kept: list[np.ndarray] = []
        self._n_bytes = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in self._frames:
            self._n_bytes += frame.nbytes
            if self._n_bytes <= self._keep_bytes:
                self._kept.append(frame)
            else:
                self._kept.clear()
            yield frame

    def replay(self) -> Iterable[np.ndarray]:
        """The pictures that have been read, from the first on."""
        return self._kept if self._n_bytes <= self._keep_bytes else self._decode_again()

"""The part of a long input that is in memory: stretches come in at its end, what is done goes.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avsr.clips.clip import Clip, Lips
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS


class ClipBuffer:
    """Consecutive stretches of one input as one clip.

    Attributes:
        start: when the buffer's content begins, in seconds of the input.
        clip: the content.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.start = start
        self.clip = Clip()

    @property
    def end(self) -> float:
        """When the content ends, in seconds of the input."""
        return self.start + self.clip.duration_s

    def time_of(self, frame: int) -> float:
        """When a frame of the content begins, in seconds of the input, to the millisecond."""
        return round(self.start + frame / VIDEO_FPS, 3)

    def append(self, clip: Clip) -> None:
        """Put the next stretch at the end; a track that had ended is filled up if it goes on."""
        mine = self.clip
        n_frames = mine.n_frames
        if n_frames == 0:
            self.clip = clip
            return
        audio = _joined(mine.audio, clip.audio, n_frames * SAMPLES_PER_VIDEO_FRAME, 0.0)
        mouth = _joined(mine.mouth, clip.mouth, n_frames, 0)
        motion = _joined(mine.lip_motion, clip.lip_motion, n_frames, np.nan)
        faces = _joined_faces(mine.faces, clip, n_frames)
        borders = (*mine.borders, *(n_frames + border for border in clip.borders))
        self.clip = replace(
            clip,
            audio=audio,
            mouth=mouth,
            lip_motion=motion,
            face=None,
            faces=faces,
            borders=borders,
        )

    def cut(self, start: float, end: float) -> Clip:
        """The part between two times, in seconds of the input."""
        return self.clip.cut(start - self.start, end - self.start)

    def drop_before(self, time: float) -> None:
        """Forget what comes before a time in seconds of the input."""
        if time > self.start:
            kept = self.cut(time, self.end)
            self.clip = replace(  # copies: views would keep the dropped part in memory
                kept,
                face=None,
                audio=None if kept.audio is None else kept.audio.copy(),
                mouth=None if kept.mouth is None else kept.mouth.copy(),
                faces=tuple(lips.copy() for lips in kept.faces if np.isfinite(lips.motion).any()),
            )
            self.start = time


def _joined_faces(mine: Sequence[Lips], clip: Clip, n_frames: int) -> tuple[Lips, ...]:
    """Everybody's lips through both clips: black and unseen where one of them lacks a person."""
    if not (mine or clip.faces):
        return ()
    first = {lips.person: lips for lips in mine}
    second = {lips.person: lips for lips in clip.faces}
    length = n_frames + (clip.face.n_frames if clip.face is not None else 0)
    joined = []
    for person in sorted({*first, *second}):
        parts = [(0, first[person])] if person in first else []
        parts += [(n_frames, second[person])] if person in second else []
        lips = Lips.unseen(person, length)
        for begin, part in parts:
            frames = slice(begin, begin + len(part.mouth))
            lips.mouth[frames], lips.motion[frames] = part.mouth, part.motion
            lips.opening[frames] = part.opening
        joined.append(lips)
    return tuple(joined)


def _joined(
    first: np.ndarray | None, second: np.ndarray | None, length: int, fill: float
) -> np.ndarray | None:
    """Two pieces of a track, the first brought to ``length`` if the second has anything."""
    if second is None or len(second) == 0:
        return first
    if first is None:
        first = second[:0]
    missing = np.full((max(0, length - len(first)), *second.shape[1:]), fill, dtype=second.dtype)
    return np.concatenate([first[:length], missing, second])

"""One clip as arrays, in memory and as a file: sound, mouth crops, and what was met reading them.

A clip file is one ``.npz`` with the arrays ``about`` (JSON as bytes), ``audio`` ([N] int16) and
``mouth`` ([T, 96, 96] uint8, each frame stored as its difference from the frame before, modulo 256,
which deflates to a third). A file that stands for a clip that could not be made holds only
``about``, with the reason. It is written whole or not at all, serves the cache of decoded clips
and prepared corpora alike, and needs neither decoding nor face tracking to be read.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avsr.atomic import atomic_file
from avsr_frontends.landmarks import TrackReport
from avsr_frontends.media import MediaError
from avsr_frontends.rates import MOUTH_SIZE, SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS

__all__ = [
    "CLIP_SUFFIX",
    "Clip",
    "ClipNote",
    "Lips",
    "load_clip",
    "read_note",
    "save_clip",
    "save_failure",
]

CLIP_SUFFIX = ".npz"
CLIP_FORMAT = 2  # raised whenever crops or audio are made or stored differently
SILENCE_PEAK = 1e-4  # full scale is 1; below -80 dB nothing was recorded
_FULL_SCALE = 32767


@dataclass(frozen=True, kw_only=True)
class Lips:
    """The lips of one of several people through a clip.

    Attributes:
        person: number of the person in the video, from 1 on.
        mouth: [T, 96, 96] uint8, 25 fps.
        motion: [T] float32, lip motion, NaN where the face is not seen.
        opening: [T] float32, gap between the lips, relative to the face.
        report: how well the face was followed in the stretch that was read; None where not known.
    """

    person: int
    mouth: np.ndarray
    motion: np.ndarray
    opening: np.ndarray
    report: TrackReport | None = None

    def cut(self, frames: slice) -> "Lips":
        """The part of these frames; the report stays behind."""
        mouth, motion, opening = self.mouth[frames], self.motion[frames], self.opening[frames]
        return Lips(person=self.person, mouth=mouth, motion=motion, opening=opening)

    def copy(self) -> "Lips":
        """The same in memory of its own."""
        mouth, motion, opening = self.mouth.copy(), self.motion.copy(), self.opening.copy()
        return Lips(person=self.person, mouth=mouth, motion=motion, opening=opening)

    @classmethod
    def unseen(cls, person: int, n_frames: int) -> "Lips":
        """The lips of somebody who does not show: black."""
        return cls(
            person=person,
            mouth=np.zeros((n_frames, MOUTH_SIZE, MOUTH_SIZE), dtype=np.uint8),
            motion=np.full(n_frames, np.nan, dtype=np.float32),
            opening=np.zeros(n_frames, dtype=np.float32),
        )


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a model can be given of one file.

    Attributes:
        audio: [N] float32, 16 kHz mono; None without a sound track or where it was not asked for.
        mouth: [T, 96, 96] or [T, 96, 96, 3] uint8, 25 fps; None where no face was found.
        face: how well the face was followed; None without a picture or where it was not asked for.
        warnings: one sentence for each damage met while decoding.
        undecodable: the tracks ("sound", "picture") that are there but cannot be decoded.
        lip_motion: [T] float32, how fast the mouth opens and closes (see
            :func:`avsr_frontends.activity.lip_motion`), NaN where no face is seen; None where
            that is not known. Not kept in files.
        faces: everybody's lips where more than one face is to be read or chosen from; ``mouth``
            and ``face`` are then those of the face seen longest. Not kept in files.
        borders: frames with which the picture begins, or shows other people than before. Not kept
            in files.
    """

    audio: np.ndarray | None = None
    mouth: np.ndarray | None = None
    face: TrackReport | None = None
    warnings: tuple[str, ...] = ()
    undecodable: tuple[str, ...] = ()
    lip_motion: np.ndarray | None = None
    faces: tuple[Lips, ...] = ()
    borders: tuple[int, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the longer stream in seconds."""
        n_samples = 0 if self.audio is None else len(self.audio)
        return max(n_samples / SAMPLE_RATE, self._n_seen / VIDEO_FPS)

    @property
    def n_frames(self) -> int:
        """Length of the longer stream in video frames; one that has begun counts."""
        n_samples = 0 if self.audio is None else len(self.audio)
        return max(-(-n_samples // SAMPLES_PER_VIDEO_FRAME), self._n_seen)

    @property
    def _n_seen(self) -> int:
        """Frames of the picture, with a face or without."""
        tracks = [len(track) for track in (self.mouth, self.lip_motion) if track is not None]
        return max([*tracks, 0 if self.face is None else self.face.n_frames])

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
            lip_motion=None if self.lip_motion is None else self.lip_motion[frames],
            faces=tuple(lips.cut(frames) for lips in self.faces),
            borders=tuple(b - frames.start for b in self.borders if frames.start < b < frames.stop),
        )


@dataclass(frozen=True, kw_only=True)
class ClipNote:
    """What a clip file says about itself, read without its arrays.

    Attributes:
        key: what it was made from; compared by those who may have to make it again.
        duration_s: seconds of the longer stream.
        n_frames: mouth crops in it.
        n_samples: samples of sound in it.
        face: how well the face was followed, or None without a picture.
        warnings: damage met while decoding.
        undecodable: tracks that could not be decoded.
        failure: why there is no clip, or None.
    """

    key: list[Any]
    duration_s: float = 0.0
    n_frames: int = 0
    n_samples: int = 0
    face: TrackReport | None = None
    warnings: tuple[str, ...] = ()
    undecodable: tuple[str, ...] = ()
    failure: str | None = None


def save_clip(path: Path, clip: Clip, key: list[Any]) -> ClipNote:
    """Write a clip; sound is rounded to 16 bits and clipped to [-1, 1].

    Args:
        path: the file, in a folder that exists.
        clip: with grey mouth crops, [T, 96, 96].
        key: plain values for JSON that tell what the clip was made from.

    Raises:
        OSError: if it cannot be written.
        ValueError: if the crops are not grey.
    """
    arrays: dict[str, np.ndarray] = {}
    if clip.audio is not None:
        samples = np.clip(clip.audio, -1, 1) * _FULL_SCALE
        arrays["audio"] = np.rint(samples).astype(np.int16)
    if clip.mouth is not None:
        if clip.mouth.ndim != 3:
            raise ValueError(f"clip files hold grey crops [T, H, W], got {list(clip.mouth.shape)}")
        arrays["mouth"] = np.diff(clip.mouth, axis=0, prepend=np.zeros_like(clip.mouth[:1]))
    note = ClipNote(
        key=key,
        duration_s=clip.duration_s,
        n_frames=0 if clip.mouth is None else len(clip.mouth),
        n_samples=0 if clip.audio is None else len(clip.audio),
        face=clip.face,
        warnings=clip.warnings,
        undecodable=clip.undecodable,
    )
    _write(path, note, arrays)
    return note


def save_failure(path: Path, reason: str, key: list[Any]) -> ClipNote:
    """Write down why a clip could not be made, in the place where it would be.

    Raises:
        OSError: if it cannot be written.
    """
    note = ClipNote(key=key, failure=reason)
    _write(path, note, {})
    return note


def load_clip(path: str | Path, *, sound: bool = True, picture: bool = True) -> Clip:
    """Read a clip file.

    Args:
        path: written by :func:`save_clip`.
        sound: whether the sound is wanted.
        picture: whether the mouth is wanted.

    Raises:
        MediaError: if it is missing, is no clip file, or stands for a clip that failed.
    """
    path = Path(path)
    try:
        with np.load(path) as arrays:
            note = _note(arrays)
            audio = arrays["audio"] if sound and "audio" in arrays else None
            mouth = arrays["mouth"] if picture and "mouth" in arrays else None
    except FileNotFoundError:
        raise MediaError(f"{path}: no such clip file; run avsr prepare again") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        cause = " ".join(str(error).split())
        raise MediaError(f"{path}: is no clip file of avsr prepare, or damaged ({cause})") from None
    if note.failure is not None:
        raise MediaError(f"{path}: could not be prepared: {note.failure}")
    return Clip(
        audio=None if audio is None else audio.astype(np.float32) / _FULL_SCALE,
        mouth=None if mouth is None else np.add.accumulate(mouth, axis=0, dtype=np.uint8),
        face=note.face if picture else None,
        warnings=note.warnings,
        undecodable=note.undecodable,
    )


def read_note(path: Path) -> ClipNote | None:
    """What a clip file says about itself, or None where there is no whole clip file."""
    try:
        with np.load(path) as arrays:
            return _note(arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, note: ClipNote, arrays: dict[str, np.ndarray]) -> None:
    about = np.frombuffer(json.dumps(asdict(note)).encode(), dtype=np.uint8)
    everything: dict[str, Any] = {"about": about, **arrays}
    with atomic_file(path) as file:
        np.savez_compressed(file, **everything)


def _note(arrays: Any) -> ClipNote:
    """Raises ValueError, KeyError or TypeError where the arrays are not ours."""
    about = json.loads(arrays["about"].tobytes())
    if face := about["face"]:
        face["gaps"] = [(start, end) for start, end in face["gaps"]]
        about["face"] = TrackReport(**face)
    about["warnings"] = tuple(about["warnings"])
    about["undecodable"] = tuple(about["undecodable"])
    return ClipNote(**about)

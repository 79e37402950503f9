"""What a benchmark reads: clips of given files, or noise of chosen lengths.

Speed does not depend on what is said, so noise measures as well as speech wherever texts have a
fixed number of tokens. Shapes: N samples at 16 kHz, T frames at 25 fps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsr.clips.read import MouthTracker, read_clip
from avsr.errors import InputError
from avsr.pretrained import LoadedModel
from avsr.processing import fit_to_lips
from avsr.progress import Progress, show_nothing
from avsr.timings import Timings
from avsr_frontends.media import MediaError
from avsr_frontends.rates import (
    AUDIO_ENCODER_FPS,
    MOUTH_SIZE,
    SAMPLES_PER_VIDEO_FRAME,
    VIDEO_FPS,
)


@dataclass(frozen=True, kw_only=True)
class BenchClip:
    """One clip with sound and lips of the same length.

    Attributes:
        name: for tables.
        waveform: [N] float32.
        mouth: [T, 96, 96] uint8 grey.
    """

    name: str
    waveform: np.ndarray
    mouth: np.ndarray

    @property
    def duration_s(self) -> float:
        return len(self.mouth) / VIDEO_FPS


def noise_clips(n_clips: int, seconds: float, seed: int = 0) -> list[BenchClip]:
    """Clips of random sound and pictures."""
    random = np.random.default_rng(seed)
    n_frames = max(1, round(seconds * VIDEO_FPS))
    return [
        BenchClip(
            name=f"noise {index}",
            waveform=random.normal(0, 0.1, n_frames * SAMPLES_PER_VIDEO_FRAME).astype(np.float32),
            mouth=random.integers(0, 256, (n_frames, MOUTH_SIZE, MOUTH_SIZE), dtype=np.uint8),
        )
        for index in range(n_clips)
    ]


def read_clips(
    paths: Sequence[Path], timings: Timings, progress: Progress = show_nothing
) -> list[BenchClip]:
    """Read media files, or prepared clips, each with sound and a face.

    Args:
        paths: the files.
        timings: receives the stages ``decode``, ``imports`` and ``face``.
        progress: told how many are read.

    Raises:
        InputError: a file that cannot be read, or lacks sound or face.
    """
    clips = []
    tracker = MouthTracker(timings)
    with tracker:
        for number, path in enumerate(paths):
            progress("reading clips", number, len(paths))
            try:
                clip = read_clip(path, timings=timings, tracker=tracker)
            except MediaError as error:
                raise InputError(str(error)) from error
            if clip.audio is None or clip.mouth is None or len(clip.mouth) == 0:
                missing = "sound" if clip.audio is None else "face"
                raise InputError(f"{path}: has no {missing}; a benchmark needs sound and a face")
            waveform = fit_to_lips(clip.audio, clip.mouth)
            clips.append(BenchClip(name=path.name, waveform=waveform, mouth=clip.mouth))
    progress("reading clips", len(paths), len(paths))
    return clips


def longest_encoded_s(loaded: LoadedModel) -> float:
    """Longest clip in seconds that the model's encoders take at once."""
    audio_config = loaded.model.config.audio_config
    if audio_config is None:
        return math.inf
    return audio_config.max_source_positions / AUDIO_ENCODER_FPS


def seconds_of(clips: Sequence[BenchClip]) -> float:
    """Length of all clips together."""
    return sum(clip.duration_s for clip in clips)

"""What makers of hostile files share: the two tables, and ways to write a file."""

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests.clips import write_clip
from tests.signals import portrait, tone

Maker = Callable[[Path], Path]
GOOD: dict[str, Maker] = {}
BAD: dict[str, Maker] = {}

N_FRAMES = 12
FACE = cv2.resize(portrait(), (128, 128), interpolation=cv2.INTER_AREA)
FACES = [FACE] * N_FRAMES
VOICE = tone(0.5)
QUICK = {"preset": "ultrafast", "crf": "40"}


def add(table: dict[str, Maker], name: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        assert name not in table
        table[name] = maker
        return maker

    return keep


def add_clip(table: dict[str, Maker], file: str, *arguments: Any, **options: Any) -> None:
    """A clip that ``write_clip`` makes."""
    table[file] = lambda folder: write_clip(folder / file, *arguments, **options)


def add_raw(table: dict[str, Maker], file: str, *arguments: Any, **options: Any) -> None:
    """A film that :func:`write_raw` makes."""
    table[file] = lambda folder: write_raw(folder / file, *arguments, **options)


def dark(n_frames: int = N_FRAMES, height: int = 96, width: int = 128) -> list[np.ndarray]:
    return [np.zeros((height, width, 3), dtype=np.uint8)] * n_frames


def whole_clip(folder: Path) -> bytes:
    path = folder / "_whole.mp4"
    if not path.exists():
        write_clip(path, moving(), sound=tone(1.0), sound_codec="aac")
    return path.read_bytes()


def moving(n_frames: int = 25) -> list[np.ndarray]:
    return [np.roll(FACE, 2 * k, axis=1) for k in range(n_frames)]


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def write_wave(
    path: Path, samples: np.ndarray, rate: int, channels: int = 1, width: int = 2
) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", "NONE"))
        file.writeframes(samples.tobytes())
    return path


def pcm(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    mono = (9000 * np.sin(2 * np.pi * 180 * time) * np.sin(6 * np.pi * time)).astype("<i2")
    return np.repeat(mono, channels)


def write_raw(
    path: Path,
    frames: list[np.ndarray],
    pixel_format: str,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
) -> Path:
    """A film without sound in any pixel format; ``options`` are the container's."""
    with av.open(str(path), "w", options=options or {}) as container:
        track: Any = container.add_stream(codec, rate=25)
        track.height, track.width = frames[0].shape[:2]
        track.pix_fmt = pixel_format
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(track.encode(frame.reformat(format=pixel_format)))
        container.mux(track.encode())
    return path

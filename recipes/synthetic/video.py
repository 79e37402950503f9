"""Full-frame video of a speaking portrait, and its mp4 file.

T video frames of 288 x 360 pixels, N audio samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from articulation import MouthShape
from face import animate
from looks import Look
from portrait import CANVAS_REACH, PATCH_WINDOW
from skin import PATCH_SCALE
from speech import SAMPLE_RATE

FPS = 25
FRAME_SIZE = (360, 288)  # width, height: those of the GRID corpus
_MOUTH_PLACE = (0.5, 0.64)  # of the frame's width and height, where the mouth is
_ZOOM_LIMITS = (1.0, 1.35)  # frame pixels per mean-face pixel; below, the canvas would end
_NOISE_SHARE = 0.4  # what a camera's own processing leaves of its noise
_TURN_DEG = 0.5  # head rotation per unit of sway


def render_frames(canvas: np.ndarray, look: Look, shape: MouthShape) -> Iterator[np.ndarray]:
    """Film the whole face.

    Args:
        canvas: the still of `portrait_still`.
        look: the person and the camera.
        shape: T frames.

    Yields:
        T frames uint8 [288, 360, 3], RGB.
    """
    camera = look.camera
    patches = animate(canvas[PATCH_WINDOW], look, shape)
    picture = _bytes(canvas)
    table = _tone_table(canvas[PATCH_WINDOW], look)
    rng = np.random.default_rng(look.seed + 1)
    noise = rng.standard_normal((8, FRAME_SIZE[1], FRAME_SIZE[0], 1)) * _NOISE_SHARE * camera.noise
    for t, matrix in enumerate(_head_motion(look, len(shape), rng)):
        picture[PATCH_WINDOW] = _bytes(patches[t])
        frame = cv2.warpAffine(
            picture, matrix, FRAME_SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        frame = cv2.LUT(cv2.GaussianBlur(frame, (0, 0), camera.blur), table) + noise[t * 5 % 8]
        frame = _bytes(frame / 255)
        yield np.ascontiguousarray(frame[:, ::-1]) if camera.mirrored else frame


def write_mp4(
    path: Path, frames: Iterator[np.ndarray], samples: np.ndarray | None, crf: int
) -> None:
    """Write H.264 video and AAC sound; the same input gives the same bytes.

    Args:
        path: the new file.
        frames: uint8 [288, 360, 3] RGB, 25 a second.
        samples: float32 [N] at 16 kHz, or None for a file without an audio stream.
        crf: H.264 quality, lower is better.
    """
    with av.open(
        str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}
    ) as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height = FRAME_SIZE
        video.pix_fmt = "yuv420p"
        video.options = {
            "crf": str(crf),
            "preset": "veryfast",
            "threads": "1",
            "flags": "+bitexact",
            "x264-params": "rc-lookahead=0:mbtree=0",  # looking ahead, it decides by chance
        }
        audio = None
        if samples is not None:
            audio = container.add_stream("aac", rate=SAMPLE_RATE)
            audio.layout = "mono"
            audio.bit_rate = 48_000
            audio.options = {"flags": "+bitexact"}
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and samples is not None:
            sound = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "fltp", "mono")
            sound.sample_rate = SAMPLE_RATE
            sound.pts = 0
            container.mux(audio.encode(sound))
            container.mux(audio.encode())


def crf_of(look: Look) -> int:
    """H.264 quality that goes with the camera's JPEG quality: 20 (good) to 28."""
    return round(28 - 8 * (look.camera.quality - 35) / 57)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture * 255).clip(0, 255).astype(np.uint8)


def _tone_table(patch: np.ndarray, look: Look) -> np.ndarray:
    """New value for each of 256 levels, float32, by the camera's tone curve and brightness."""
    levels = (np.arange(256) / 255) ** look.camera.gamma
    grey = patch @ np.asarray([0.2989, 0.587, 0.114], np.float32)
    mean = float(np.mean(grey.clip(0, 1) ** look.camera.gamma))
    return (255 * np.clip(levels * look.camera.brightness / 255 / mean, 0, 1)).astype(np.float32)


def _head_motion(look: Look, n_frames: int, rng: np.random.Generator) -> list[np.ndarray]:
    """For each frame, the [2, 3] matrix from canvas to frame pixels."""
    knots = max(3, n_frames // 15 + 2)
    steps = np.linspace(0, knots - 1, n_frames)
    sway = look.camera.sway * np.clip(rng.standard_normal((knots, 3)), -2, 2)
    moves = np.stack(
        [np.interp(steps, np.arange(knots), sway[:, axis]) for axis in range(3)], axis=1
    )
    kernel = np.hanning(13) / np.hanning(13).sum()
    padded = np.pad(moves, ((6, 6), (0, 0)), mode="edge")
    moves = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in range(3)], axis=1)
    zoom = float(np.clip(1.12 * look.camera.scale, *_ZOOM_LIMITS)) / PATCH_SCALE
    mouth = np.array([CANVAS_REACH[0], CANVAS_REACH[1]]) * PATCH_SCALE
    place = np.array(FRAME_SIZE) * _MOUTH_PLACE
    matrices = []
    for right, down, turn in moves:
        angle = np.deg2rad(look.camera.angle_deg + _TURN_DEG * turn)
        cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]])
        origin = place + np.array([right, down]) - linear @ mouth
        matrices.append(np.hstack([linear, origin[:, None]]))
    return matrices

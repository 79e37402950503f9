"""Mouth pictures for training: join, re-time, move, turn, scale, mirror, blur, hide.

The encoder looks at the central 64 pixels of the 96-pixel crops, so there is room to move.
"""

import cv2
import numpy as np
import torch
from corpus import Corpus
from splicing import Plan
from torch import Tensor

CROP_SIZE = 96  # pixels, side of a stored crop
INPUT_SIZE = 64  # pixels, what the encoder looks at
GREY_MEAN, GREY_STD = 0.421, 0.165
LEVELS = np.arange(256) / 255  # of grey

cv2.setNumThreads(1)


def cut_pictures(corpus: Corpus, plan: Plan) -> np.ndarray:
    """The frames of a plan, [T, 96, 96] uint8."""
    parts = [
        corpus.pictures(piece.index)[round(piece.start * 25) : round(piece.end * 25)]
        for piece in plan.pieces
    ]
    return np.concatenate(parts)


def place_pictures(
    frames: np.ndarray,
    offset_s: float,
    speed: float,
    n_frames: int,
    generator: np.random.Generator,
    strength: float,
) -> np.ndarray:
    """Re-time and shift a clip; before its start and after its end the mouth stands still."""
    moments = (np.arange(n_frames) / 25 - offset_s) * speed * 25
    if generator.random() < 0.25 * strength:  # frames lost by the camera: the one before is shown
        lost = generator.random(n_frames) < 0.15
        for index in range(1, n_frames):
            if lost[index]:
                moments[index] = moments[index - 1]
    if generator.random() < 0.3 * strength:  # sound and picture out of step by up to two frames
        moments = moments + generator.uniform(-2, 2)
    return frames[np.clip(np.round(moments).astype(np.int64), 0, len(frames) - 1)]


def augment_pictures(clips: np.ndarray, strength: float, generator: np.random.Generator) -> Tensor:
    """Distort a batch of clips and cut out what the encoder sees.

    Args:
        clips: [B, T, 96, 96] uint8.
        strength: 0 (centre crop only) to 1.
        generator: the source of randomness.

    Returns:
        [B, T, 1, 64, 64] float32, normalised like every input of the encoder.
    """
    margin = (CROP_SIZE - INPUT_SIZE) // 2
    if strength == 0:
        pictures = clips[:, :, margin:-margin, margin:-margin]
    else:
        pictures = np.stack([_distort_clip(clip, strength, generator) for clip in clips])
    return ((torch.from_numpy(pictures).float() / 255 - GREY_MEAN) / GREY_STD)[:, :, None]


def _distort_clip(
    frames: np.ndarray, strength: float, generator: np.random.Generator
) -> np.ndarray:
    """One random view of [T, 96, 96] uint8; returns [T, 64, 64] uint8."""
    view = _random_view(strength, generator)
    seen = np.stack(
        [
            cv2.warpAffine(
                frame,
                view,
                (INPUT_SIZE, INPUT_SIZE),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for frame in frames
        ]
    )
    return _change_look(seen, strength, generator) if generator.random() < strength else seen


def _random_view(strength: float, generator: np.random.Generator) -> np.ndarray:
    """The affine map [2, 3] from pixels that the encoder sees to pixels of the stored crop."""
    on = strength * (generator.random() < 0.9)
    both, vertical = on * generator.uniform(-0.18, 0.18, 2)
    scale_x, scale_y = 1 + both, 1 + both + 0.6 * vertical
    angle = on * generator.uniform(-0.2, 0.2)
    shear = on * generator.uniform(-0.1, 0.1)
    shift = on * generator.uniform(-6, 6, 2)
    mirror = -1.0 if generator.random() < 0.5 else 1.0
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array(
        [
            [scale_x * cosine * mirror, scale_y * (shear - sine)],
            [scale_x * sine * mirror, scale_y * cosine],
        ]
    )
    middle = (CROP_SIZE - 1) / 2 + shift
    return np.column_stack([turn, middle - turn @ np.full(2, (INPUT_SIZE - 1) / 2)])


def _change_look(frames: np.ndarray, strength: float, generator: np.random.Generator) -> np.ndarray:
    """Gamma, blur, sensor noise and a covered rectangle on [T, 64, 64] uint8."""
    curve = 255 * LEVELS ** float(np.exp(generator.normal(0, 0.3)))
    frames = np.round(curve).astype(np.uint8)[frames]
    if generator.random() < 0.3 * strength:
        frames = np.stack([cv2.blur(frame, (3, 3)) for frame in frames])
    if generator.random() < 0.3 * strength:
        noise = generator.standard_normal(frames.shape, dtype=np.float32)
        noise *= generator.uniform(2, 10)
        frames = np.clip(frames + noise, 0, 255).astype(np.uint8)
    if generator.random() < 0.3 * strength:
        height, width = generator.integers(8, 26, 2)
        top, left = generator.integers(0, INPUT_SIZE - 8, 2)
        first = generator.integers(0, len(frames))
        last = first + generator.integers(5, 40)
        frames[first:last, top : top + height, left : left + width] = int(frames.mean())
    return frames

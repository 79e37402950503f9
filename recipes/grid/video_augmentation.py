"""Mouth pictures for training: join, re-time, move, turn, scale, mirror, blur, hide.

The encoder looks at the central 64 pixels of the 96-pixel crops, so there is room to move.
"""

import numpy as np
import torch
from splicing import Plan
from torch import Tensor
from torch.nn import functional

CROP_SIZE = 96  # pixels, side of a stored crop
INPUT_SIZE = 64  # pixels, what the encoder looks at
GREY_MEAN, GREY_STD = 0.421, 0.165


def cut_pictures(pictures: np.ndarray, plan: Plan) -> np.ndarray:
    """The frames of a plan, [T, 96, 96] uint8."""
    parts = [
        pictures[piece.index, round(piece.start * 25) : round(piece.end * 25)]
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
    n_clips = len(clips)
    pictures = torch.from_numpy(clips).float()
    on = strength * (generator.random((n_clips, 1)) < 0.9)
    scale = 1 + on * generator.uniform(-0.18, 0.18, (n_clips, 2)) * np.array([[1.0, 0.6]])
    scale[:, 1] += scale[:, 0] - 1  # mostly the same in both directions
    angle = on[:, 0] * generator.uniform(-0.2, 0.2, n_clips)
    shear = on[:, 0] * generator.uniform(-0.1, 0.1, n_clips)
    shift = on * generator.uniform(-6, 6, (n_clips, 2)) * (2 / CROP_SIZE)
    mirror = np.where(generator.random(n_clips) < 0.5 * (strength > 0), -1.0, 1.0)
    window = INPUT_SIZE / CROP_SIZE
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((n_clips, 2, 3), dtype=np.float32)
    matrix[:, 0, 0] = window * scale[:, 0] * cosine * mirror
    matrix[:, 0, 1] = window * scale[:, 1] * (shear - sine)
    matrix[:, 1, 0] = window * scale[:, 0] * sine * mirror
    matrix[:, 1, 1] = window * scale[:, 1] * cosine
    matrix[:, :, 2] = shift
    grid = functional.affine_grid(
        torch.from_numpy(matrix), [n_clips, 1, INPUT_SIZE, INPUT_SIZE], align_corners=False
    )
    # The frames of a clip share one grid, so they travel as channels.
    pictures = functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    for index in range(n_clips):
        if generator.random() < strength:
            pictures[index] = _change_look(pictures[index], strength, generator)
    return ((pictures / 255 - GREY_MEAN) / GREY_STD)[:, :, None]


def _change_look(frames: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Gamma, blur, sensor noise and a covered rectangle on [T, 64, 64] of 0..255."""
    frames = 255 * (frames / 255).clamp(0, 1) ** float(np.exp(generator.normal(0, 0.3)))
    if generator.random() < 0.3 * strength:
        frames = functional.avg_pool2d(frames[None], 3, 1, 1, count_include_pad=False)[0]
    if generator.random() < 0.3 * strength:
        seed = int(generator.integers(2**31))
        noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(seed))
        frames = frames + noise * float(generator.uniform(2, 10))
    if generator.random() < 0.3 * strength:
        height, width = generator.integers(8, 26, 2)
        top, left = generator.integers(0, INPUT_SIZE - 8, 2)
        first = generator.integers(0, len(frames))
        last = first + generator.integers(5, 40)
        frames[first:last, top : top + height, left : left + width] = frames.mean()
    return frames

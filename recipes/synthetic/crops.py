"""Mouth crops straight from the painted patch, as the frontend would cut them from a video."""

from __future__ import annotations

import cv2
import numpy as np
from articulation import MouthShape
from face import animate, mouth_centre_y
from looks import Camera, Look
from skin import PATCH_REACH, PATCH_SCALE

CROP_SIZE = 96  # pixels, one per mean-face pixel


def render_crops(still: np.ndarray, look: Look, shape: MouthShape) -> np.ndarray:
    """Film the mouth.

    Args:
        still: float32 [P, P, 3] in 0..1, the face without lips.
        look: the person and the camera.
        shape: T frames.

    Returns:
        uint8 [T, 96, 96], grey.
    """
    grey = still @ np.asarray([0.2989, 0.587, 0.114], np.float32)
    patches = expose(animate(grey[..., None], look, shape)[..., 0], look.camera)
    rng = np.random.default_rng(look.seed + 1)
    camera = look.camera
    places = _placements(camera, mouth_centre_y(look, shape), rng)
    noise = rng.standard_normal((8, CROP_SIZE, CROP_SIZE)).astype(np.float32) * camera.noise
    crops = np.empty((len(shape), CROP_SIZE, CROP_SIZE), np.uint8)
    for t, matrix in enumerate(places):
        crop = cv2.warpAffine(
            patches[t],
            matrix,
            (CROP_SIZE, CROP_SIZE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        crop = cv2.GaussianBlur(crop, (0, 0), camera.blur)
        crop = 255 * crop + noise[t * 5 % 8]
        crops[t] = _compress(np.clip(np.rint(crop), 0, 255).astype(np.uint8), camera.quality)
    return crops[:, :, ::-1].copy() if camera.mirrored else crops


def expose(patches: np.ndarray, camera: Camera) -> np.ndarray:
    """Tone curve and brightness of the camera; any shape that starts with T, in 0..1."""
    toned = np.clip(patches, 0, 1) ** camera.gamma
    return np.clip(toned * (camera.brightness / 255 / float(toned[0].mean())), 0, 1)


def _placements(camera: Camera, centre_y: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """For each frame, the [2, 3] matrix from crop pixels to patch pixels."""
    n_frames = len(centre_y)
    wander = np.cumsum(rng.standard_normal((n_frames, 3)), axis=0)
    wander = 0.25 * (wander - np.linspace(0, 1, n_frames)[:, None] * wander[-1])
    offsets = camera.jitter * (wander.clip(-2, 2) + 0.4 * rng.standard_normal((n_frames, 3)))
    places = []
    for t in range(n_frames):
        angle = np.deg2rad(camera.angle_deg + 0.4 * offsets[t, 2])
        # Aligned crops follow the lips in whole pixels.
        x = camera.shift[0] + offsets[t, 0]
        y = camera.shift[1] + round(float(centre_y[t])) + offsets[t, 1]
        zoom = PATCH_SCALE / camera.scale
        cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
        linear = np.array([[cos * (1 - 0.06 * abs(camera.yaw)), -sin], [sin, cos]])
        middle = np.array([x + PATCH_REACH, y + PATCH_REACH]) * PATCH_SCALE - 0.5
        origin = middle - linear @ np.full(2, (CROP_SIZE - 1) / 2)
        places.append(np.hstack([linear, origin[:, None]]))
    return places


def _compress(crop: np.ndarray, quality: int) -> np.ndarray:
    ok, encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)

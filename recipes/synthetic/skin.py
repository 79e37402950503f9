"""The still picture of the face around the mouth, drawn from nothing.

P patch side in pixels; the patch is centred on the resting mouth.
"""

from __future__ import annotations

import cv2
import numpy as np
from looks import Skin

PATCH_REACH = 64  # mean-face pixels from the mouth's centre to each side of the patch
PATCH_SCALE = 1.5  # patch pixels per mean-face pixel
PATCH_SIZE = int(2 * PATCH_REACH * PATCH_SCALE)  # 192


def patch_grid() -> tuple[np.ndarray, np.ndarray]:
    """x, y of patch pixels in mean-face pixels from the mouth's centre, float32 [P, P] each."""
    axis = ((np.arange(PATCH_SIZE) + 0.5) / PATCH_SCALE - PATCH_REACH).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def draw_skin(skin: Skin, seed: int) -> np.ndarray:
    """Nose base, cheeks, chin, neck and facial hair, without lips.

    Returns:
        float32 [P, P, 3], RGB in 0..1.
    """
    rng = np.random.default_rng(seed)
    x, y = patch_grid()
    shade = 1 + skin.light[0] * x / 60 + skin.light[1] * y / 60
    shade = shade - skin.roundness * (x / 55) ** 2 + _nose(skin, x, y) + _relief(skin, x, y)
    shade *= 1 + skin.grain * _texture(rng)
    hair = _hair_cover(skin, x, y, rng)
    shade *= 1 - hair * (1 - skin.hair)
    tone = np.asarray(skin.tone, np.float32)
    picture = shade[..., None] * tone
    # Hair takes the colour out of the skin that it covers.
    picture = picture + hair[..., None] * 0.5 * (picture.mean(axis=2, keepdims=True) - picture)
    return _with_surroundings(picture, skin, x, y, rng).clip(0, 1).astype(np.float32)


def _bump(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], size: tuple[float, float]):
    return np.exp(-(((x - centre[0]) / size[0]) ** 2) - ((y - centre[1]) / size[1]) ** 2)


def _nose(skin: Skin, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    size, base = skin.nose, -20.0
    side = np.abs(x)
    ridge = 0.14 * np.exp(-((x / (6 * size)) ** 2)) * (1 / (1 + np.exp((y - base + 4) / 1.5)))
    wing = -0.14 * np.exp(-(((side - 12.5 * size) / 2.5) ** 2) - ((y - base + 5) / 5) ** 2)
    nostril = -0.4 * _bump(side, y, (5.5 * size, base + 0.5), (3.2 * size, 1.9 * size))
    shadow = -0.16 * _bump(x, y, (0, base + 3), (11 * size, 4))
    return ridge + wing + nostril + shadow


def _relief(skin: Skin, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    side = np.abs(x)
    along = np.clip((y + 22) / 26, 0, 1)
    fold_x = 12 * skin.nose + 1 + 15 * along**0.8
    within = np.exp(-(np.clip(np.abs(y + 9) - 12, 0, None) ** 2) / 30)
    folds = -skin.folds * np.exp(-(((side - fold_x) / 2.2) ** 2)) * within
    groove = -0.07 * np.exp(-((x / 2) ** 2)) * np.exp(-(((y + 11.5) / 4) ** 2))
    ridges = 0.04 * np.exp(-(((side - 4) / 1.6) ** 2)) * np.exp(-(((y + 11) / 4) ** 2))
    under_lip = -skin.chin_shade * _bump(x, y, (0, 13.5), (13, 4))
    chin = 0.07 * _bump(x, y, (0, 0.62 * skin.chin), (11, 8))
    cheeks = 0.05 * _bump(side, y, (34, -16), (14, 16))
    corners = -0.07 * _bump(side, y, (25, 1), (3.5, 5))
    return folds + groove + ridges + under_lip + chin + cheeks + corners


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Sum of noises, fine to coarse; [P, P]."""
    total = np.zeros((PATCH_SIZE, PATCH_SIZE), np.float32)
    for sigma, weight in ((0.8, 1.0), (3.0, 0.5), (10.0, 0.4)):
        noise = rng.standard_normal(total.shape).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), sigma)
        total += weight * noise / noise.std()
    return total


def _hair_cover(skin: Skin, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel is hair, 0..1; [P, P]."""
    side = np.abs(x)
    strands = cv2.GaussianBlur(
        rng.standard_normal(x.shape).astype(np.float32), (0, 0), 0.7, sigmaY=2.5
    )
    strands = np.clip(0.8 + 0.25 * strands / strands.std(), 0.1, 1.2)
    lip = np.exp(-((np.clip(np.abs(y + 9) - 4, 0, None) / 2.5) ** 2)) * _edge(26 - side, 5)
    chin_zone = _edge(y - 11 + 0.012 * side**2, 4) * _edge(skin.chin + 6 - y, 6)
    cheek_zone = _edge(side - 30, 5) * _edge(y + 12, 8)
    jaw = np.maximum(chin_zone, cheek_zone) * (1 - 0.6 * _bump(side, y, (10, 13), (5, 4)))
    return np.clip((skin.moustache * lip + skin.beard * jaw) * strands, 0, 1).astype(np.float32)


def _edge(distance: np.ndarray, width: float) -> np.ndarray:
    """0 to 1 as ``distance`` goes through zero."""
    return 1 / (1 + np.exp(-(distance / (width / 4)).clip(-30, 30)))


def _with_surroundings(
    picture: np.ndarray, skin: Skin, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Neck below the chin and background beside the face."""
    narrowing = 1 - 0.16 * np.clip(y / skin.chin, -1, 1)
    radius = (np.abs(x) / (skin.jaw_width * narrowing)) ** 2.4
    radius = radius + (np.clip(y, 0, None) / skin.chin) ** 2.6
    face = _edge((1 - radius) * 20, 5)[..., None]
    neck = _edge(0.62 * skin.jaw_width - np.abs(x) + 0.1 * y, 4)[..., None]
    tone = np.asarray(skin.tone, np.float32)
    under = tone * rng.uniform(0.45, 0.8) * (1 + skin.light[0] * x / 60)[..., None]
    clothes = rng.uniform(0.05, 0.9, 3)
    beside = np.asarray(skin.background) * (
        1 + 0.1 * _texture(rng)[..., None] * rng.uniform(0, 0.5)
    )
    beside = np.where((y > rng.uniform(30, 90))[..., None], clothes, beside)
    around = neck * under + (1 - neck) * beside
    return face * picture + (1 - face) * around

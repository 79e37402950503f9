"""Stills of whole faces: two public-domain portraits without their mouths, changed at random.

Both pictures come inside Python packages: NASA's portrait of Eileen Collins (scikit-image) and the
US Navy's of Grace Hopper (matplotlib). Both are works of the United States government.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import skimage.data
from looks import Look, Source
from skin import PATCH_REACH, PATCH_SCALE, PATCH_SIZE, patch_grid

CANVAS_REACH = (200, 200, 150)  # mean-face pixels to each side of the mouth, above it and below it
CANVAS_SIZE = (
    int(2 * CANVAS_REACH[0] * PATCH_SCALE),
    int((CANVAS_REACH[1] + CANVAS_REACH[2]) * PATCH_SCALE),
)  # width, height
_PATCH_LEFT = int((CANVAS_REACH[0] - PATCH_REACH) * PATCH_SCALE)
_PATCH_TOP = int((CANVAS_REACH[1] - PATCH_REACH) * PATCH_SCALE)
PATCH_WINDOW = (
    slice(_PATCH_TOP, _PATCH_TOP + PATCH_SIZE),
    slice(_PATCH_LEFT, _PATCH_LEFT + PATCH_SIZE),
)  # where the patch lies in the canvas

# The eight stable points of `avsr_frontends.mouth.MEAN_FACE_68`: nose bridge and base, corners of
# both eyes, mouth corners. A real portrait's mouth comes to lie a little above the mean one's.
_TARGETS = (
    *((128.5, 106.9), (128.9, 137.3), (92.5, 94.4), (112.8, 94.9)),
    *((145.5, 94.5), (166.7, 93.6), (107.2, 157.2), (152.2, 157.0)),
)
_MOUTH_TARGET = (129.4, 153.7)


@dataclass(frozen=True)
class _Landmarks:
    """Pixels of a portrait, measured once with mediapipe: points of `_TARGETS`, and the lips."""

    stable: tuple[tuple[float, float], ...]
    lips: tuple[tuple[float, float], ...]
    grow: int  # pixels around the lips that show the original mouth


_PORTRAITS = {
    "astronaut": _Landmarks(
        stable=(
            *((225.3, 111.4), (224.0, 133.9), (194.6, 100.9), (213.8, 103.6)),
            *((237.4, 104.8), (256.7, 104.1), (201.8, 139.5), (245.9, 142.2)),
        ),
        lips=(
            *((201.8, 139.5), (206.7, 138.7), (217.1, 139.3), (223.6, 140.5), (230.2, 140.0)),
            *((240.9, 140.8), (245.9, 142.2), (239.5, 149.3), (229.3, 154.5), (222.8, 154.9)),
            *((216.5, 153.7), (207.1, 147.3)),
        ),
        grow=4,
    ),
    "hopper": _Landmarks(
        stable=(
            *((265.6, 205.2), (268.1, 252.3), (201.6, 194.2), (240.0, 193.2)),
            *((288.4, 190.5), (326.4, 187.3), (232.3, 277.3), (304.7, 273.9)),
        ),
        lips=(
            *((232.3, 277.3), (239.8, 273.6), (257.4, 269.0), (268.5, 270.0), (279.5, 267.9)),
            *((297.1, 270.9), (304.7, 273.9), (296.1, 280.0), (279.6, 287.2), (269.1, 288.5)),
            *((258.6, 288.3), (241.4, 282.7)),
        ),
        grow=5,
    ),
}


def portrait_still(look: Look) -> np.ndarray:
    """The whole face of ``look`` without lips, float32 RGB in 0..1, of `CANVAS_SIZE`.

    Raises:
        ValueError: if the look's face is a drawn one, which has no eyes.
    """
    if look.source not in _PORTRAITS:
        raise ValueError(f"no portrait called {look.source!r}: choose one of {sorted(_PORTRAITS)}")
    canvas = _bend(_mouthless(look.source), look.seed)
    canvas = _recolour(canvas, look)
    x, y = patch_grid()
    relief = 1 - look.skin.chin_shade * np.exp(-((x / 13) ** 2) - ((y - 13.5) / 4) ** 2)
    canvas[PATCH_WINDOW] *= relief[..., None]
    return canvas.clip(0, 1).astype(np.float32)


@cache
def _mouthless(source: Source) -> np.ndarray:
    """The portrait in mean-face coordinates, skin in place of the mouth; float32 RGB in 0..1."""
    picture, marks = _picture(source), _PORTRAITS[source]
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(marks.lips).astype(np.int32)], (255,))
    size = 2 * marks.grow + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    filled = cv2.inpaint(picture, mask, 7, cv2.INPAINT_TELEA).astype(np.float32)
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), marks.grow / 2)[..., None]
    filled += soft * (cv2.GaussianBlur(filled, (0, 0), marks.grow) - filled)
    origin = np.array([_MOUTH_TARGET[0] - CANVAS_REACH[0], _MOUTH_TARGET[1] - CANVAS_REACH[1]])
    targets = (np.array(_TARGETS) - origin) * PATCH_SCALE
    matrix, _ = cv2.estimateAffinePartial2D(np.array(marks.stable), targets, method=cv2.LMEDS)
    return cv2.warpAffine(
        filled / 255, matrix, CANVAS_SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def _picture(source: Source) -> np.ndarray:
    if source == "astronaut":
        return skimage.data.astronaut()
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(f"{path} is missing: reinstall matplotlib with pip")
    return picture[..., ::-1].copy()


def _bend(canvas: np.ndarray, seed: int) -> np.ndarray:
    """Another face shape: a smooth random warp of a few pixels."""
    rng = np.random.default_rng(seed + 2)
    height, width = canvas.shape[:2]
    grid = rng.standard_normal((2, 6, 7)).astype(np.float32) * 2.2 * PATCH_SCALE
    moves = [cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in grid]
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return cv2.remap(
        canvas,
        columns + moves[0],
        rows + moves[1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _recolour(canvas: np.ndarray, look: Look) -> np.ndarray:
    """Towards the look's skin tone, under the look's light."""
    cheek = canvas[PATCH_WINDOW][20:60, 40:150].reshape(-1, 3).mean(axis=0)
    ratio = (np.asarray(look.skin.tone, np.float32) / cheek).clip(0.75, 1.2)
    height, width = canvas.shape[:2]
    across = (np.arange(width) / PATCH_SCALE - CANVAS_REACH[0]) / 60
    down = (np.arange(height) / PATCH_SCALE - CANVAS_REACH[1]) / 60
    light = (
        1
        + look.skin.light[0] * across[None].clip(-2, 2)
        + look.skin.light[1] * down[:, None].clip(-2, 2)
    )
    # Only skin-coloured pixels take the skin's tone; clothes and background keep theirs.
    warmth = (canvas[..., 0] - canvas[..., 2]) / (canvas.max(axis=2) + 0.05)
    skin_like = cv2.GaussianBlur(np.clip((warmth - 0.1) / 0.2, 0, 1).astype(np.float32), (0, 0), 4)
    toned = canvas * (1 + 0.8 * skin_like[..., None] * (ratio - 1))
    toned = toned * light.clip(0.5, 1.5)[..., None]
    grey = toned[PATCH_WINDOW].mean()
    return grey + look.skin.contrast * (toned - grey)

"""A face whose mouth moves: lips, teeth and tongue painted on a still picture.

The still is warped so that chin, cheeks and upper lip follow; the mouth is then painted over it.
Painting happens on a patch in mean-face coordinates. It is cut out directly as a mouth crop, or put
back into a portrait for a full frame. T video frames, P patch side, C colour channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from articulation import MouthShape
from looks import Look
from skin import PATCH_REACH, PATCH_SCALE, PATCH_SIZE, patch_grid

_JAW_DROP = 9.0  # mean-face pixels that the chin sinks at jaw = 1
_UPPER_SHARE = 0.3  # of the opening is the upper lip rising; the lower lip does the rest
_HALF_BOX = (34, 40)  # mean-face pixels around the mouth that paint may touch: x, and y downwards
_BOX_ABOVE = 20


@dataclass(frozen=True)
class Outline:
    """Lip contours for a row of x positions; y in mean-face pixels, float32 [T, W]."""

    across: np.ndarray  # x as a fraction of the mouth's half-width, -1 and 1 at the corners
    outer_upper: np.ndarray
    inner_upper: np.ndarray
    inner_lower: np.ndarray
    outer_lower: np.ndarray


@dataclass(frozen=True)
class _Paints:
    """Colours [C] of the parts of the mouth."""

    lip: np.ndarray
    teeth: np.ndarray
    cavity: np.ndarray
    tongue: np.ndarray


def half_width(look: Look, shape: MouthShape) -> np.ndarray:
    """Half of the mouth's width in mean-face pixels, [T]."""
    change = np.where(shape.wide > 0, 0.10 * shape.wide, 0.26 * shape.wide)
    return 0.5 * look.lips.width * (1 + change - 0.03 * shape.press)


def outline(look: Look, shape: MouthShape, x: np.ndarray) -> Outline:
    """Where the lips are.

    Args:
        look: the person.
        shape: T frames.
        x: [W] horizontal positions in mean-face pixels.
    """
    lips = look.lips

    def column(values: np.ndarray) -> np.ndarray:
        return values[:, None]

    across = x[None] / column(half_width(look, shape))
    inside = np.clip(1 - across**2, 0, None)
    gap = column(shape.open) * lips.width
    # Rounded lips open as an ellipse with a narrow inside, spread lips as a slit.
    inner_reach = 0.9 - 0.22 * column(shape.protrude)
    power = 2.6 - 0.6 * column(shape.protrude)
    profile = np.clip(1 - (np.abs(across) / inner_reach) ** power, 0, None)
    profile = profile * (1 + 0.3 * lips.skew * across)
    resting = (
        lips.droop * across**2
        + lips.tilt * across
        + 0.8 * np.exp(-((across / 0.3) ** 2)) * lips.bow
    )
    bite = column(shape.tuck)
    inner_upper = resting - (_UPPER_SHARE * gap + 1.6 * bite) * profile
    inner_lower = resting + ((1 - _UPPER_SHARE) * gap - 0.6 * bite) * profile
    inner_lower = np.maximum(inner_lower, inner_upper)
    thin = (
        1
        - 0.5 * column(shape.press)
        + 0.3 * column(shape.protrude)
        - 0.12 * column(shape.wide).clip(0)
    )
    upper = lips.upper * thin * (1 - 0.15 * bite)
    lower = lips.lower * thin * (1 - 0.45 * bite)
    notch = 1 - lips.bow * np.exp(-((across / 0.16) ** 2))
    outer_upper = inner_upper - upper * inside**0.75 * notch
    outer_lower = inner_lower + lower * inside**0.65
    parts = (across, outer_upper, inner_upper, inner_lower, outer_lower)
    return Outline(*(part.astype(np.float32) for part in parts))


def mouth_centre_y(look: Look, shape: MouthShape) -> np.ndarray:
    """Mean height of the twenty points that face trackers put on the lips, [T] mean-face pixels."""
    marks = outline(look, shape, look.lips.width * np.array([-0.3, 0.0, 0.3]))
    weights = (
        (marks.outer_upper, 5),
        (marks.inner_upper, 3),
        (marks.inner_lower, 3),
        (marks.outer_lower, 5),
    )
    return np.stack([curve.mean(axis=1) * weight for curve, weight in weights]).sum(axis=0) / 20


def animate(still: np.ndarray, look: Look, shape: MouthShape) -> np.ndarray:
    """The patch in motion.

    Args:
        still: float32 [P, P, C] in 0..1, the face without lips; C is 1 (luminance) or 3.
        look: the person.
        shape: T frames.

    Returns:
        float32 [T, P, P, C] in 0..1.
    """
    moved = _warp(still, look, shape)
    x, y = patch_grid()
    middle = PATCH_REACH * PATCH_SCALE
    left, right = (int(middle + side * _HALF_BOX[0] * PATCH_SCALE) for side in (-1, 1))
    top, bottom = int(middle - _BOX_ABOVE * PATCH_SCALE), int(middle + _HALF_BOX[1] * PATCH_SCALE)
    box = moved[:, top:bottom, left:right]
    paints = _paints(look, still[top:bottom, left:right])
    painted = _paint(box, look, shape, x[0, left:right], y[top:bottom, 0], paints)
    moved[:, top:bottom, left:right] = painted
    return moved


def _paints(look: Look, skin: np.ndarray) -> _Paints:
    """The look's colours as lit on this skin [h, w, C]; grey values for one channel."""
    channels = skin.shape[2]
    weights = np.eye(3) if channels == 3 else np.array([[0.2989, 0.587, 0.114]])
    tint = skin.mean(axis=(0, 1)) / (weights @ np.asarray(look.skin.tone))
    brightness = np.full_like(tint, tint.mean())  # skin tints lips, not teeth
    lips = look.lips
    parts = (
        (lips.colour, tint),
        (lips.teeth, brightness),
        (lips.cavity, tint),
        (lips.tongue, tint),
    )
    return _Paints(*((light * (weights @ np.asarray(c))).astype(np.float32) for c, light in parts))


def _warp(still: np.ndarray, look: Look, shape: MouthShape) -> np.ndarray:
    """Move chin, cheeks and upper lip with the mouth; [T, P, P, C]."""
    x, y = patch_grid()
    rest = 0.5 * look.lips.width
    side = np.abs(x)
    # The chin moves as a whole; below it and beside it the movement fades out inside the patch.
    fade = np.clip((PATCH_REACH - 3 - y) / 24, 0, 1) * np.clip((PATCH_REACH - 3 - side) / 22, 0, 1)
    chin_field = np.clip((y - 1) / 9, 0, 1) * fade
    lip_field = np.exp(-(((y - 9) / 9) ** 2)) * np.exp(-((side / 19) ** 2)) * (y > 0)
    upper_field = np.exp(-(((y + 7) / 8) ** 2)) * np.exp(-((side / 19) ** 2))
    beyond = np.exp(-((np.clip(side - rest, 0, None) / 11) ** 2))
    width_field = np.clip(x / rest, -1, 1) * beyond * np.exp(-((y / 15) ** 2))
    gap = shape.open * look.lips.width
    chin = _JAW_DROP * shape.jaw
    lower = (1 - _UPPER_SHARE) * gap - 0.6 * chin
    widening = half_width(look, shape) - rest
    frames = np.empty((len(shape), PATCH_SIZE, PATCH_SIZE, still.shape[2]), np.float32)
    columns = (x + PATCH_REACH) * PATCH_SCALE - 0.5
    rows = (y + PATCH_REACH) * PATCH_SCALE - 0.5
    for t in range(len(shape)):
        down = chin[t] * chin_field + lower[t] * lip_field - _UPPER_SHARE * gap[t] * upper_field
        map_x = columns - PATCH_SCALE * widening[t] * width_field
        map_y = rows - PATCH_SCALE * down.astype(np.float32)
        warped = cv2.remap(still, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        frames[t] = warped.reshape(PATCH_SIZE, PATCH_SIZE, -1)
    return frames


def _cover(distance: np.ndarray, softness: float = 1 / PATCH_SCALE) -> np.ndarray:
    """How much of a pixel lies on the positive side of an edge ``softness`` pixels wide."""
    return np.clip(distance / softness + 0.5, 0, 1)


def _paint(
    skin: np.ndarray, look: Look, shape: MouthShape, x: np.ndarray, y: np.ndarray, paints: _Paints
) -> np.ndarray:
    """Lips over skin, and what is inside the mouth; [T, h, w, C]."""
    lips = look.lips
    curves = outline(look, shape, x)
    rows = y[None, :, None]

    def row(curve: np.ndarray) -> np.ndarray:
        return curve[:, None, :]

    inside_x = _cover((1 - np.abs(row(curves.across))) * lips.width / 2, 1.5)
    outer = _cover(rows - row(curves.outer_upper), lips.softness)
    outer *= _cover(row(curves.outer_lower) - rows, lips.softness) * inside_x
    gap = row(curves.inner_lower - curves.inner_upper)
    inner = _cover(rows - row(curves.inner_upper)) * _cover(row(curves.inner_lower) - rows)
    inner *= np.clip(gap / 0.7, 0, 1) * inside_x
    shade = _lip_shade(look, curves, rows)
    light = 1 + look.skin.light[0] * x / 60
    lip = (shade * light[None, None])[..., None] * paints.lip
    cover = (outer * lips.strength)[..., None]
    picture = skin + cover * (lip - skin)
    middle = 0.5 * (row(curves.inner_upper) + row(curves.inner_lower))
    line = lips.line * np.exp(-(((rows - middle) / 0.9) ** 2)) * inside_x
    line *= np.clip(1 - gap / 2.5, 0, 1)
    picture *= (1 - line)[..., None]
    mouth = _inside(look, shape, curves, x, rows, paints)
    return picture + inner[..., None] * (mouth - picture)


def _lip_shade(look: Look, curves: Outline, rows: np.ndarray) -> np.ndarray:
    """Brightness of the lips: upper lip in shadow, lower lip catching light; [T, h, w]."""
    upper_share = np.clip(
        (curves.inner_upper[:, None] - rows)
        / np.maximum(curves.inner_upper - curves.outer_upper, 0.5)[:, None],
        0,
        1,
    )
    lower_share = np.clip(
        (rows - curves.inner_lower[:, None])
        / np.maximum(curves.outer_lower - curves.inner_lower, 0.5)[:, None],
        0,
        1,
    )
    centre = np.exp(-((curves.across / 0.5) ** 2))[:, None]
    upper = 0.82 + 0.14 * upper_share
    lower = 0.95 + look.lips.gloss * np.exp(-(((lower_share - 0.4) / 0.25) ** 2)) * centre
    lower = lower - 0.22 * lower_share**3
    below = rows > 0.5 * (curves.inner_upper + curves.inner_lower)[:, None]
    return np.where(below, lower, upper).astype(np.float32)


def _inside(
    look: Look, shape: MouthShape, curves: Outline, x: np.ndarray, rows: np.ndarray, paints: _Paints
) -> np.ndarray:
    """Dark cavity, tongue, lower and upper teeth; [T, h, w, C]."""
    lips = look.lips

    def frame(values: np.ndarray) -> np.ndarray:
        return values[:, None, None]

    arch = x[None, None] ** 2
    upper_edge = lips.teeth_edge - 0.008 * arch
    sink = frame(_JAW_DROP * shape.jaw)
    lower_edge = lips.teeth_edge + 0.3 + sink + 0.006 * arch
    tip = frame(shape.tongue)
    tongue_top = upper_edge + (1 - tip) * (sink + 3.5) - 0.5 * tip + 0.02 * arch
    tongue_cover = _cover(rows - tongue_top, 1.5) * _cover(11 - np.abs(x)[None, None], 3)
    tongue_shade = np.clip(0.55 + 0.45 * tip, 0, 1) * np.clip(1 - 0.004 * arch, 0.3, 1)
    picture = paints.cavity + tongue_cover[..., None] * (
        tongue_shade[..., None] * paints.tongue - paints.cavity
    )
    gaps = 1 - 0.12 * np.cos(2 * np.pi * x / 4.6)[None, None].clip(0.6) * np.exp(-arch / 150)
    tooth = np.clip(1 - 0.0035 * arch, 0.25, 1) * gaps
    depth = np.clip(
        (rows - curves.inner_upper[:, None]) / 3.0, 0, 1
    )  # the lip's shadow on the teeth
    lower_cover = (
        _cover(rows - lower_edge) * _cover(14 - np.abs(x)[None, None], 3) * (1 - 0.9 * tip**4)
    )
    picture = picture + lower_cover[..., None] * (0.8 * tooth[..., None] * paints.teeth - picture)
    upper_cover = _cover(upper_edge - rows) * _cover(17 - np.abs(x)[None, None], 4)
    bright = (tooth * (0.55 + 0.45 * depth))[..., None] * paints.teeth
    return picture + upper_cover[..., None] * (bright - picture)

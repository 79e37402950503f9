"""Who is seen: random appearances of a mouth and the skin around it.

Lengths are in pixels of the mean-face frame (see `avsr_frontends.mouth`), in which a mouth is about
45 px wide; x, y are measured from the centre of the resting mouth. Colours are RGB in 0..1.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from articulation import Habits

Source = Literal["drawn", "astronaut", "hopper"]
Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Lips:
    """Shape and paint of lips, teeth and tongue.

    Attributes:
        width: corner to corner at rest.
        upper, lower: thickness of each lip at rest.
        bow: depth of the notch in the upper lip, fraction of its thickness.
        droop: how far the corners hang (negative: a smile).
        tilt: one corner lower than the other.
        skew: left to right asymmetry of the opening, -1 to 1.
        softness: width of the border between lip and skin.
        colour: of the lips.
        strength: 0 (skin showing through) to 1 (lipstick).
        gloss: highlight on the lower lip.
        line: darkness of the line between closed lips.
        teeth_edge: lower edge of the upper teeth, below the lip line.
        teeth, cavity, tongue: colours.
    """

    width: float
    upper: float
    lower: float
    bow: float
    droop: float
    tilt: float
    skew: float
    softness: float
    colour: Colour
    strength: float
    gloss: float
    line: float
    teeth_edge: float
    teeth: Colour
    cavity: Colour
    tongue: Colour


@dataclass(frozen=True, kw_only=True)
class Skin:
    """The face around the mouth.

    Attributes:
        tone: colour of fully lit skin.
        light: brightness gradient to the right and down, per 60 px.
        roundness: how fast brightness falls off towards the sides.
        jaw_width, chin: half-width of the face at mouth height, and the chin's distance below.
        nose: size of the nose, 1 average.
        folds: depth of the folds from nose to mouth corners.
        chin_shade: shadow under the lower lip.
        moustache, beard: 0 (shaved) to 1.
        hair: brightness of facial hair relative to the skin.
        grain: strength of skin texture.
        contrast: of a portrait's light and shade, 1 as it is.
        background: colour beside the face.
    """

    tone: Colour
    light: tuple[float, float]
    roundness: float
    jaw_width: float
    chin: float
    nose: float
    folds: float
    chin_shade: float
    moustache: float
    beard: float
    hair: float
    grain: float
    contrast: float
    background: Colour


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How the face is filmed.

    Attributes:
        scale, angle_deg: of the face relative to perfect alignment.
        yaw: horizontal squeeze towards one side, -1 to 1.
        shift: constant misplacement of the crop, x and y.
        jitter: size of the frame-to-frame misplacement.
        sway: size of head movements in the full frame.
        blur: standard deviation of the lens blur.
        noise: standard deviation of sensor noise, of 255 grey levels.
        brightness: mean grey level of the patch around the mouth, of 255.
        gamma: tone curve, before the brightness is set.
        quality: JPEG quality that stands for the video codec in crops.
        mirrored: left and right swapped.
    """

    scale: float
    angle_deg: float
    yaw: float
    shift: tuple[float, float]
    jitter: float
    sway: float
    blur: float
    noise: float
    brightness: float
    gamma: float
    quality: int
    mirrored: bool


@dataclass(frozen=True, kw_only=True)
class Look:
    """One person in front of one camera; ``seed`` fixes textures and movements."""

    seed: int
    source: Source
    habits: Habits
    lips: Lips
    skin: Skin
    camera: Camera


def sample_look(rng: random.Random, sources: Mapping[Source, int]) -> Look:
    """A random appearance; ``sources`` says how often to choose each kind of face."""
    tone = _skin_tone(rng)
    return Look(
        seed=rng.getrandbits(32),
        source=rng.choices(list(sources), weights=list(sources.values()))[0],
        habits=_sample_habits(rng),
        lips=_sample_lips(rng, tone),
        skin=_sample_skin(rng, tone),
        camera=_sample_camera(rng),
    )


def _skin_tone(rng: random.Random) -> Colour:
    depth = rng.betavariate(1.6, 2.2)  # 0 pale to 1 dark; GRID's speakers are mostly pale
    red = 0.92 - 0.52 * depth
    return (red, red * rng.uniform(0.74, 0.84), red * rng.uniform(0.58, 0.74))


def _sample_habits(rng: random.Random) -> Habits:
    return Habits(
        amplitude=min(1.5, max(0.45, rng.lognormvariate(-0.15, 0.35))),
        rounding=rng.uniform(0.6, 1.15),
        tightness=rng.uniform(0.9, 1.5),
        rest_open=max(0.0, rng.uniform(-0.04, 0.05)),
        lead_s=rng.uniform(-0.01, 0.04),
    )


def _sample_lips(rng: random.Random, tone: Colour) -> Lips:
    redness, darkness = rng.uniform(0.08, 0.35), rng.uniform(0.7, 1.02)
    if rng.random() < 0.15:  # lipstick
        redness, darkness = rng.uniform(0.35, 0.6), rng.uniform(0.4, 0.8)
    red, green, blue = tone
    colour = (
        red * darkness,
        green * darkness * (1 - redness),
        blue * darkness * (1 - 0.7 * redness),
    )
    white, dark = rng.uniform(0.65, 1.0) * max(red, 0.8), rng.uniform(0.08, 0.4) * red
    return Lips(
        width=rng.uniform(39, 51),
        upper=rng.uniform(2.2, 6.5),
        lower=rng.uniform(4.0, 9.0),
        bow=rng.uniform(0.0, 0.45),
        droop=rng.gauss(0.3, 1.2),
        tilt=rng.gauss(0, 0.5),
        skew=rng.gauss(0, 0.25),
        softness=rng.uniform(1.0, 3.2),
        colour=colour,
        strength=rng.uniform(0.5, 1.0),
        gloss=rng.uniform(0.0, 0.25),
        line=rng.uniform(0.15, 0.55),
        teeth_edge=rng.uniform(-0.5, 3.5),
        teeth=(white, white * 0.94, white * rng.uniform(0.74, 0.88)),
        cavity=(dark, dark * 0.6, dark * 0.6),
        tongue=(red * 0.75, green * rng.uniform(0.45, 0.6), blue * 0.6),
    )


def _sample_skin(rng: random.Random, tone: Colour) -> Skin:
    man = rng.random() < 0.55
    haired = man and rng.random() < 0.45
    grey = rng.uniform(0.05, 0.95)
    return Skin(
        tone=tone,
        light=(rng.gauss(0, 0.16), rng.gauss(-0.06, 0.1)),
        roundness=rng.uniform(0.05, 0.35),
        jaw_width=rng.uniform(46, 66),
        chin=rng.uniform(36, 52),
        nose=rng.uniform(0.8, 1.25),
        folds=rng.choice((0.0, 1.0)) * rng.uniform(0.02, 0.22),
        chin_shade=rng.uniform(0.02, 0.22),
        moustache=rng.uniform(0.1, 0.9) if haired else rng.uniform(0, 0.12) * man,
        beard=rng.uniform(0.1, 0.9)
        if haired and rng.random() < 0.7
        else rng.uniform(0, 0.15) * man,
        hair=rng.uniform(0.25, 0.9),
        grain=rng.uniform(0.005, 0.035),
        contrast=rng.uniform(0.6, 1.0),
        background=(grey, grey * rng.uniform(0.7, 1), grey * rng.uniform(0.7, 1)),
    )


def _sample_camera(rng: random.Random) -> Camera:
    return Camera(
        scale=rng.gauss(1.0, 0.06),
        angle_deg=rng.gauss(0, 2.5),
        yaw=max(-1.0, min(1.0, rng.gauss(0, 0.4))),
        shift=(rng.gauss(0, 1.5), rng.gauss(0, 2.0)),
        jitter=rng.uniform(0.1, 0.7),
        sway=rng.uniform(0.0, 2.5),
        blur=rng.uniform(0.3, 1.3),
        noise=rng.uniform(0.5, 4.0),
        brightness=min(185.0, max(70.0, rng.gauss(130, 24))),
        gamma=rng.uniform(0.7, 1.2),
        quality=rng.randint(35, 92),
        mirrored=rng.random() < 0.5,
    )

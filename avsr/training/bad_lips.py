"""Lips that deserve no trust, for training: blurred, misplaced, covered, frozen, late, another's.

A model that meets them beside good sound, and good lips beside bad sound, learns when to ignore a
stream. Kinds that leave the words readable teach every task; of the others only what is read by
sound and lips together can be learned, see :data:`READABLE`. Shapes: T video frames at 25 fps;
mouth crops are [T, 96, 96] or [T, 96, 96, 3] uint8, and none is changed in place.
"""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from avsr.training.settings import AugmentationSettings, LipsFault
from avsr_frontends.rates import MOUTH_SIZE

__all__ = ["READABLE", "spoil_lips"]

READABLE: frozenset[LipsFault] = frozenset({"blurred", "covered"})  # the words can still be seen
BLUR_PX = (1.5, 8.0)  # standard deviation; the mouth is about 40 pixels wide
SHIFT_PX = (20, 48)  # beside the mouth: at 48 its middle is on the border
SCALE = (0.5, 2.0)  # of what is shown, smaller to larger
COVER_PX = (24, 64)  # sides of what hides the mouth
COVER_SHARE = (0.2, 0.7)  # of the clip
LATE_FRAMES = (3, 15)  # 0.12 to 0.6 s


def spoil_lips(
    mouth: np.ndarray,
    settings: AugmentationSettings,
    generator: np.random.Generator,
    read_other: Callable[[], np.ndarray | None],
) -> tuple[np.ndarray, bool]:
    """With the probability that is set, let something go wrong with the lips of one clip.

    Args:
        mouth: lips of the clip.
        settings: how often, and what.
        generator: of the lips alone, so that the sound's share of luck does not depend on theirs.
        read_other: gives the lips of another clip; None where there is none, and then they freeze.

    Returns:
        The lips, as long as they were, and whether they can still be read.
    """
    if not settings.bad_lips or generator.random() >= settings.bad_lips:
        return mouth, True
    kind = settings.bad_lips_kinds[int(generator.integers(len(settings.bad_lips_kinds)))]
    change = {
        "blurred": blur,
        "misplaced": misplace,
        "covered": cover,
        "frozen": freeze,
        "late": delay,
        "other": partial(swap, read_other=read_other),
    }[kind]
    return change(mouth, generator), kind in READABLE


def blur(mouth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Out of focus throughout."""
    deviation = generator.uniform(*BLUR_PX)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), deviation) for picture in mouth])


def misplace(mouth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Cut out beside the mouth, too near or too far; what lies outside is its border drawn out."""
    angle, distance = generator.uniform(0, 2 * np.pi), generator.uniform(*SHIFT_PX)
    scale = np.exp(generator.uniform(*np.log(SCALE)))
    middle = (MOUTH_SIZE - 1) / 2
    shift = middle * (1 - scale) + distance * np.array([np.cos(angle), np.sin(angle)])
    view = np.column_stack([scale * np.eye(2), shift])  # [2, 3]
    size = (MOUTH_SIZE, MOUTH_SIZE)
    return np.stack(
        [cv2.warpAffine(one, view, size, borderMode=cv2.BORDER_REPLICATE) for one in mouth]
    )


def cover(mouth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A plain rectangle before the mouth, for a part of the clip."""
    height, width = (int(n) for n in generator.integers(*COVER_PX, size=2, endpoint=True))
    top = (MOUTH_SIZE - height) // 2 + int(generator.integers(-12, 13))
    left = (MOUTH_SIZE - width) // 2 + int(generator.integers(-12, 13))
    n_frames = max(1, round(len(mouth) * generator.uniform(*COVER_SHARE)))
    first = int(generator.integers(max(1, len(mouth) - n_frames + 1)))
    covered = mouth.copy()
    rows, columns = slice(max(0, top), top + height), slice(max(0, left), left + width)
    covered[first : first + n_frames, rows, columns] = int(generator.integers(256))
    return covered


def freeze(mouth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One picture stays: in half of all cases from the start, else from the first half on."""
    start = max(0, int(generator.integers(-len(mouth) // 2, len(mouth) // 2 + 1)))
    shown = start if start else int(generator.integers(len(mouth)))
    frozen = mouth.copy()
    frozen[start:] = mouth[shown]
    return frozen


def delay(mouth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Lips behind the sound, or before it; the first or last picture stands still meanwhile."""
    n_frames = int(generator.integers(*LATE_FRAMES, endpoint=True))
    moments = np.arange(len(mouth)) - (n_frames if generator.random() < 0.5 else -n_frames)
    return mouth[np.clip(moments, 0, len(mouth) - 1)]


def swap(
    mouth: np.ndarray,
    generator: np.random.Generator,
    *,
    read_other: Callable[[], np.ndarray | None],
) -> np.ndarray:
    """Somebody else's lips; their last picture stays if they end before."""
    other = read_other()
    if other is None:
        return freeze(mouth, generator)
    return other[np.minimum(np.arange(len(mouth)), len(other) - 1)]

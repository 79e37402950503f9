"""Decoded pictures as they are meant to be seen: upright, with square pixels, of a sane size.

H and W are a picture's size in pixels.
"""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.sidedata.sidedata import Type as SideDataType

LONGEST_SIDE = 16_384  # pixels; the face models' OpenCV ends the process from 32767 on
MOST_PIXELS = 1 << 27  # 134 million, four times 8K: 400 MB as RGB
_MOST_STRETCH = 4  # of real recordings the pixels are at most three times as wide as high


class BadPictureError(ValueError):
    """A decoded picture that cannot be shown."""


def upright_rgb(frame: av.VideoFrame, aspect: Fraction | None) -> np.ndarray:
    """Convert to RGB as shown: square pixels, display matrix applied.

    Args:
        frame: as decoded, in any pixel format.
        aspect: width of a pixel over its height; None, and what :func:`is_absurd`, is 1.

    Returns:
        [H, W, 3] uint8.

    Raises:
        BadPictureError: if it is empty, too large, or cannot be converted.
    """
    if not fits(frame.width, frame.height):
        raise BadPictureError(f"a picture of {frame.width}x{frame.height}")
    width = frame.width
    if aspect and not is_absurd(aspect) and fits(round(width * aspect), frame.height):
        width = round(width * aspect)
    try:
        picture = frame.reformat(width=width, format="rgb24", threads=1).to_ndarray()
        side_data: Any = frame.side_data
        matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    except (FFmpegError, ValueError) as error:  # a pixel format that nothing converts
        raise BadPictureError(str(error)) from error
    if matrix is None:
        return picture
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if abs(b) > abs(a):  # a quarter turn: rows become columns
        a, d = c, b
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def fits(width: int, height: int) -> bool:
    """Whether pictures of a size can be worked with."""
    within = 0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE
    return within and width * height <= MOST_PIXELS


def is_absurd(aspect: Fraction | None) -> bool:
    """Whether a pixel aspect ratio in a header cannot be meant."""
    return bool(aspect) and not Fraction(1, _MOST_STRETCH) <= aspect <= _MOST_STRETCH

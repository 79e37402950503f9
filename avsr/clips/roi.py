"""The part of the picture that is looked at."""

from collections.abc import Generator, Iterator

import numpy as np

from avsr.errors import InputError

Roi = tuple[int, int, int, int]  # left, top, width and height in pixels of the upright picture


def part_of_pictures(
    frames: Iterator[np.ndarray], roi: Roi | None
) -> Generator[np.ndarray, None, None]:
    """The wanted part of each picture.

    Raises:
        InputError: if it is not in the picture.
    """
    for frame in frames:
        if roi is None:
            yield frame
            continue
        left, top, width, height = roi
        if left + width > frame.shape[1] or top + height > frame.shape[0]:
            raise InputError(
                f"the part {left},{top},{width},{height} leaves the picture, which is "
                f"{frame.shape[1]}x{frame.shape[0]}",
                settings=("roi",),
            )
        yield frame[top : top + height, left : left + width]

"""Videos that hold mouth crops already, as published preparation scripts write them.

Shapes: T video frames at 25 fps.
"""

from pathlib import Path
from typing import Any

import numpy as np

from avsr_frontends.containers import open_media, track_start, tracks
from avsr_frontends.decoding import DecodeReport, decode
from avsr_frontends.media import MediaError
from avsr_frontends.mouth import grey_crops
from avsr_frontends.rates import MOUTH_SIZE, VIDEO_FPS


def read_mouth_video(
    path: Path, start: float | None = None, end: float | None = None
) -> tuple[np.ndarray, list[str]]:
    """Read a video of mouth crops frame by frame.

    The frames are 25 per second whatever the header says: some published scripts write 30 there
    without changing the frames.

    Args:
        path: a video of 96x96 pixels.
        start: seconds at 25 frames per second; None is the beginning.
        end: seconds; None is the end.

    Returns:
        [T, 96, 96] uint8 grey crops, and a sentence for each damage met.

    Raises:
        MediaError: if the file cannot be read or holds no crops of that size.
    """
    report = DecodeReport()
    crops: list[np.ndarray] = []
    with open_media(path) as container:
        track = tracks(container)[1]
        if track is None:
            raise MediaError(f"{path}: has no picture, but mouth crops are expected in it")
        if (track.width, track.height) != (MOUTH_SIZE, MOUTH_SIZE):
            raise MediaError(
                f"{path}: pictures of {track.width}x{track.height}, expected mouth crops of "
                f"{MOUTH_SIZE}x{MOUTH_SIZE}; prepare the original videos instead"
            )
        for frame in decode(container, track, track_start(track), report):
            picture: Any = frame.to_ndarray(format="rgb24")
            crops.append(grey_crops(picture[None])[0])
    if not crops:
        raise MediaError(f"{path}: none of its picture frames can be decoded")
    first = round((start or 0.0) * VIDEO_FPS)
    last = None if end is None else round(end * VIDEO_FPS)
    return np.stack(crops)[first:last], report.warnings

"""Films for the browser: what the model saw and heard, and the mouth crops, as H.264.

T frames at 25 fps, N audio samples at 16 kHz.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

LONGEST_SIDE = 640  # pixels of the film on the page
_BOX_COLOUR = (255, 122, 89)  # the accent of lips in the page's style sheet
_MARGIN = 0.12  # of the face's size, around its outermost points
_CORNER = 0.22  # of the box's shorter side


def write_film(
    path: Path, frames: Iterable[np.ndarray], sound: np.ndarray | None
) -> tuple[int, int] | None:
    """Write an MP4 that every browser plays.

    Args:
        path: the new file.
        frames: T pictures [H, W, 3] uint8 RGB or [H, W] grey, all of one size; may be none.
        sound: [N] float32, or None for a film without a sound track.

    Returns:
        Width and height of the picture in pixels, both even; None without a picture.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        pictures = iter(frames)
        first = next(pictures, None)
        video = None if first is None else container.add_stream("libx264", rate=VIDEO_FPS)
        audio = None if sound is None else container.add_stream("aac", rate=SAMPLE_RATE)
        if audio is not None:
            audio.layout = "mono"
            audio.bit_rate = 64_000
        if video is not None and first is not None:
            video.height, video.width = (side - side % 2 for side in first.shape[:2])
            video.pix_fmt = "yuv420p"
            video.options = {"crf": "21", "preset": "veryfast"}
            for index, picture in enumerate(_chain(first, pictures)):
                frame = av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(picture[: video.height, : video.width]),
                    format="gray" if picture.ndim == 2 else "rgb24",
                )
                frame.pts = index
                container.mux(video.encode(frame))
            container.mux(video.encode())
        if audio is not None and sound is not None:
            wave = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
            wave.sample_rate = SAMPLE_RATE
            wave.pts = 0
            container.mux(audio.encode(wave))
            container.mux(audio.encode())
    return None if video is None else (video.width, video.height)


def shrink(frame: np.ndarray) -> tuple[np.ndarray, float]:
    """Make a picture small enough for the page; returns it and the factor applied."""
    height, width = frame.shape[:2]
    factor = min(1.0, LONGEST_SIDE / max(height, width))
    if factor == 1.0:
        return frame, 1.0
    size = (max(2, round(width * factor)), max(2, round(height * factor)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA), factor


def mark_face(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Draw the four corners of a face box.

    Args:
        frame: [H, W, 3] uint8 RGB.
        box: left, top, right, bottom of the face's points in pixels.

    Returns:
        A marked copy.
    """
    size = float(max(box[2] - box[0], box[3] - box[1]))
    grown = box + np.array([-1, -1.6, 1, 1]) * _MARGIN * size  # the points end at the brows
    left, top, right, bottom = np.rint(grown).astype(int).tolist()
    arm = max(4, round(_CORNER * min(right - left, bottom - top)))
    thickness = max(2, round(max(frame.shape[:2]) / 220))
    marked = np.ascontiguousarray(frame).copy()
    for x, y, dx, dy in (
        (left, top, arm, arm),
        (right, top, -arm, arm),
        (left, bottom, arm, -arm),
        (right, bottom, -arm, -arm),
    ):
        cv2.line(marked, (x, y), (x + dx, y), _BOX_COLOUR, thickness, cv2.LINE_AA)
        cv2.line(marked, (x, y), (x, y + dy), _BOX_COLOUR, thickness, cv2.LINE_AA)
    return marked


def marked_frames(
    frames: Iterable[np.ndarray], boxes: np.ndarray | None, found: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Shrink pictures for the page and mark the face where it was found.

    Args:
        frames: pictures [H, W, 3] uint8 RGB.
        boxes: [T, 4] in pixels of the original pictures, or None without a face.
        found: [T] bool, where the face was seen, or None without a face.
    """
    for index, frame in enumerate(frames):
        small, factor = shrink(frame)
        if boxes is not None and found is not None and index < len(found) and found[index]:
            small = mark_face(small, boxes[index] * factor)
        yield small


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest

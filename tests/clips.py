"""Small media files written for tests: any frame times, rotation, offsets and sound."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

TICK = Fraction(1, 60_000)  # s, divides the frame times of all usual rates


def counter_frame(value: float, height: int = 64, width: int = 96) -> np.ndarray:
    """A picture whose left half is as bright as ``value`` (0 to 1), right half dark red below.

    The two halves and the red corner tell which way is up.
    """
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    frame[:, : width // 2] = round(16 + 220 * value)
    frame[height // 2 :, width // 2 :, 0] = 200
    return frame


def write_clip(
    path: Path,
    frames: Sequence[np.ndarray] = (),
    times: Sequence[float] | np.ndarray | None = None,
    *,
    fps: float | Fraction = 25,
    sound: np.ndarray | None = None,
    sound_start: float = 0.0,
    sample_rate: int = 16_000,
    sound_codec: str = "pcm_s16le",
    rotation: int = 0,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """Write a media file.

    Args:
        path: where; its extension chooses the container (``.mkv`` keeps any times).
        frames: [H, W, 3] uint8 pictures.
        times: presentation time of each frame in seconds; None means ``fps`` per second.
        fps: nominal frame rate.
        sound: [N] or stereo [N, 2] float in [-1, 1].
        sound_start: presentation time of the first sample.
        sample_rate: of ``sound``, Hz.
        sound_codec: encoder of the sound.
        rotation: degrees by which a player must turn the picture anticlockwise.
        codec: encoder of the picture.
        options: of the picture's encoder.
    """
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        video: Any = None
        audio: Any = None
        layout = "mono"
        if len(frames):
            video = container.add_stream(
                codec, rate=rate, options={"crf": "10"} if options is None else options
            )
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = TICK
            if rotation:
                video.set_display_rotation(rotation)
        if sound is not None:
            layout = "stereo" if sound.ndim == 2 else "mono"
            audio = container.add_stream(sound_codec, rate=sample_rate, layout=layout)
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            time = Fraction(i) / rate if times is None else Fraction(times[i])
            frame.pts, frame.time_base = round(time / TICK), TICK
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode())
        if sound is not None:
            samples = np.ascontiguousarray(np.rint(sound * 32767).astype(np.int16).reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
            frame.sample_rate = sample_rate
            frame.pts, frame.time_base = round(sound_start * sample_rate), Fraction(1, sample_rate)
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path

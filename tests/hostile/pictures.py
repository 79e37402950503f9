"""Frame rates, times and pictures."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from tests.clips import write_clip
from tests.hostile.makers import (
    BAD,
    FACE,
    FACES,
    GOOD,
    N_FRAMES,
    QUICK,
    VOICE,
    add,
    add_clip,
    add_raw,
    dark,
    put,
)
from tests.signals import tone

add_clip(GOOD, "1fps.mp4", [FACE] * 2, fps=1, sound=tone(2.0), sound_codec="aac")
add_clip(GOOD, "240fps.mp4", [FACE] * 120, fps=240, sound=VOICE, sound_codec="aac")
add_clip(GOOD, "29.97fps.mp4", FACES, fps=Fraction(30_000, 1001), sound=VOICE, sound_codec="aac")
add_clip(
    GOOD, "vfr.mkv", FACES, times=np.cumsum([0, *[0.01, 0.09, 0.04] * 4])[:N_FRAMES], sound=VOICE
)
add_clip(GOOD, "negative_times.mkv", FACES, times=np.arange(N_FRAMES) / 25 - 0.2, sound=VOICE)
add_clip(GOOD, "late_sound.mkv", FACES, sound=VOICE, sound_start=0.4)
add_clip(GOOD, "late_picture.mkv", FACES, times=np.arange(N_FRAMES) / 25 + 0.4, sound=tone(0.9))
add_clip(GOOD, "pause_of_2s.mkv", FACES, times=[*np.arange(6) / 25, *(2 + np.arange(6) / 25)])
add_clip(GOOD, "long_sound.mkv", FACES, sound=tone(2.0))
add_clip(GOOD, "long_picture.mkv", [FACE] * 40, sound=tone(0.3))
add_clip(GOOD, "one_frame_with_sound.mkv", [FACE], sound=VOICE)
add_clip(BAD, "one_frame.mp4", [FACE])
add_clip(BAD, "two_frames.mp4", [FACE] * 2)

# Pictures
for _degrees in (90, 180, 270):
    add_clip(
        GOOD, f"rotated_{_degrees}.mp4", FACES, sound=VOICE, sound_codec="aac", rotation=_degrees
    )
add_clip(GOOD, "black_with_sound.mp4", dark(), sound=VOICE, sound_codec="aac")
add_clip(BAD, "black.mp4", dark())
add_clip(GOOD, "white.mp4", [255 - f for f in dark()], sound=VOICE, sound_codec="aac")
add_clip(GOOD, "16x16.mp4", dark(N_FRAMES, 16, 16), sound=VOICE, sound_codec="aac")
add_clip(GOOD, "wide.mp4", dark(N_FRAMES, 16, 1600), sound=VOICE, sound_codec="aac")
add_clip(GOOD, "8k.mp4", dark(2, 4320, 7680), sound=VOICE, sound_codec="aac", options=QUICK)
add_clip(GOOD, "silent_film.mp4", FACES)
add_clip(GOOD, "silence.mp4", FACES, sound=0 * VOICE, sound_codec="aac")
add_clip(GOOD, "vp9.webm", FACES, codec="libvpx-vp9", options={"deadline": "realtime"})
add_clip(GOOD, "mpeg4.avi", FACES, codec="mpeg4", sound=VOICE, options={})
add_clip(GOOD, "sorenson.flv", FACES, codec="flv", options={})
add_clip(GOOD, "stream.ts", FACES, sound=VOICE, sound_codec="aac")
add_clip(GOOD, "flash.flv", FACES, sound=VOICE, sound_codec="aac")
add_clip(GOOD, "quicktime.mov", FACES, sound=VOICE)


add_raw(GOOD, "odd_size.mkv", [FACE[:127, :125]] * N_FRAMES, "bgr0")
add_raw(GOOD, "grey.mkv", FACES, "gray")
add_raw(GOOD, "16_bit_colour.mkv", FACES, "yuv444p16le")
add_raw(GOOD, "transparent.mkv", FACES, "bgra")


@add(GOOD, "size_changes.ts")
def _size_changes(folder: Path) -> Path:
    parts = []
    for index, size in enumerate((128, 192)):
        part = folder / f"_part{index}.ts"
        picture = cv2.resize(FACE, (size, size))
        parts.append(write_clip(part, [picture] * N_FRAMES, sound=VOICE, sound_codec="aac"))
    return put(folder / "size_changes.ts", b"".join(part.read_bytes() for part in parts))


# Codecs and pixel formats
add_clip(GOOD, "hevc.mp4", FACES, codec="libx265", options={"x265-params": "log-level=none"})
add_clip(GOOD, "vp8.webm", FACES, codec="libvpx", options={"deadline": "realtime"})
add_clip(GOOD, "phone.3gp", FACES, codec="mpeg4", sound=VOICE, sound_codec="aac", options={})
add_clip(GOOD, "flash.f4v", FACES, sound=VOICE, sound_codec="aac")
add_clip(GOOD, "2x2.mp4", dark(N_FRAMES, 2, 2), sound=VOICE, sound_codec="aac")
add_clip(GOOD, "tall.mp4", dark(N_FRAMES, 1600, 16), sound=VOICE, sound_codec="aac")


for _name, _codec in {
    "mpeg1.mpg": "mpeg1video",
    "program_stream.vob": "mpeg2video",
    "windows.wmv": "wmv2",
    "uncompressed.avi": "rawvideo",
}.items():
    add_raw(GOOD, _name, FACES, "yuv420p", codec=_codec)


add_raw(GOOD, "10_bit_grey.mkv", FACES, "gray10le")
add_raw(GOOD, "full_colour.mkv", FACES, "yuv444p")
add_raw(GOOD, "animated.gif", FACES, "rgb8", codec="gif")
add_raw(
    GOOD,
    "fragmented.mp4",
    FACES,
    "yuv420p",
    codec="mpeg4",
    options={"movflags": "frag_keyframe+empty_moov"},
)
add_raw(
    GOOD, "index_first.mp4", FACES, "yuv420p", codec="mpeg4", options={"movflags": "+faststart"}
)
add_raw(GOOD, "live_recording.mkv", FACES, "yuv420p", options={"live": "1"})

"""Files that people really have, and files that nobody should have: each small, made when needed.

Each maker writes one file into a folder and returns its path. ``GOOD`` ones must give a result,
``BAD`` ones a one-line error.
"""

import os
import struct
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests.clips import write_clip
from tests.signals import portrait, tone

Maker = Callable[[Path], Path]
GOOD: dict[str, Maker] = {}
BAD: dict[str, Maker] = {}

N_FRAMES = 12
FACE = cv2.resize(portrait(), (128, 128), interpolation=cv2.INTER_AREA)
FACES = [FACE] * N_FRAMES
VOICE = tone(0.5)
QUICK = {"preset": "ultrafast", "crf": "40"}


def _add(table: dict[str, Maker], name: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        assert name not in table
        table[name] = maker
        return maker

    return keep


def _clip(table: dict[str, Maker], file: str, *arguments: Any, **options: Any) -> None:
    """A clip that ``write_clip`` makes."""
    table[file] = lambda folder: write_clip(folder / file, *arguments, **options)


def _dark(n_frames: int = N_FRAMES, height: int = 96, width: int = 128) -> list[np.ndarray]:
    return [np.zeros((height, width, 3), dtype=np.uint8)] * n_frames


def _whole(folder: Path) -> bytes:
    path = folder / "_whole.mp4"
    if not path.exists():
        write_clip(path, _moving(), sound=tone(1.0), sound_codec="aac")
    return path.read_bytes()


def _moving(n_frames: int = 25) -> list[np.ndarray]:
    return [np.roll(FACE, 2 * k, axis=1) for k in range(n_frames)]


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _wave(path: Path, samples: np.ndarray, rate: int, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", "NONE"))
        file.writeframes(samples.tobytes())
    return path


def _pcm(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    mono = (9000 * np.sin(2 * np.pi * 180 * time) * np.sin(6 * np.pi * time)).astype("<i2")
    return np.repeat(mono, channels)


# Frame rates and times
_clip(GOOD, "1fps.mp4", [FACE] * 2, fps=1, sound=tone(2.0), sound_codec="aac")
_clip(GOOD, "240fps.mp4", [FACE] * 120, fps=240, sound=VOICE, sound_codec="aac")
_clip(GOOD, "29.97fps.mp4", FACES, fps=Fraction(30_000, 1001), sound=VOICE, sound_codec="aac")
_clip(GOOD, "vfr.mkv", FACES, times=np.cumsum([0, *[0.01, 0.09, 0.04] * 4])[:N_FRAMES], sound=VOICE)
_clip(GOOD, "negative_times.mkv", FACES, times=np.arange(N_FRAMES) / 25 - 0.2, sound=VOICE)
_clip(GOOD, "late_sound.mkv", FACES, sound=VOICE, sound_start=0.4)
_clip(GOOD, "late_picture.mkv", FACES, times=np.arange(N_FRAMES) / 25 + 0.4, sound=tone(0.9))
_clip(GOOD, "pause_of_2s.mkv", FACES, times=[*np.arange(6) / 25, *(2 + np.arange(6) / 25)])
_clip(GOOD, "long_sound.mkv", FACES, sound=tone(2.0))
_clip(GOOD, "long_picture.mkv", [FACE] * 40, sound=tone(0.3))
_clip(GOOD, "one_frame_with_sound.mkv", [FACE], sound=VOICE)
_clip(BAD, "one_frame.mp4", [FACE])
_clip(BAD, "two_frames.mp4", [FACE] * 2)

# Pictures
for _degrees in (90, 180, 270):
    _clip(GOOD, f"rotated_{_degrees}.mp4", FACES, sound=VOICE, sound_codec="aac", rotation=_degrees)
_clip(GOOD, "black_with_sound.mp4", _dark(), sound=VOICE, sound_codec="aac")
_clip(BAD, "black.mp4", _dark())
_clip(GOOD, "white.mp4", [255 - f for f in _dark()], sound=VOICE, sound_codec="aac")
_clip(GOOD, "16x16.mp4", _dark(N_FRAMES, 16, 16), sound=VOICE, sound_codec="aac")
_clip(GOOD, "wide.mp4", _dark(N_FRAMES, 16, 1600), sound=VOICE, sound_codec="aac")
_clip(GOOD, "8k.mp4", _dark(2, 4320, 7680), sound=VOICE, sound_codec="aac", options=QUICK)
_clip(GOOD, "silent_film.mp4", FACES)
_clip(GOOD, "silence.mp4", FACES, sound=0 * VOICE, sound_codec="aac")
_clip(GOOD, "vp9.webm", FACES, codec="libvpx-vp9", options={"deadline": "realtime"})
_clip(GOOD, "mpeg4.avi", FACES, codec="mpeg4", sound=VOICE, options={})
_clip(GOOD, "sorenson.flv", FACES, codec="flv", options={})
_clip(GOOD, "stream.ts", FACES, sound=VOICE, sound_codec="aac")
_clip(GOOD, "flash.flv", FACES, sound=VOICE, sound_codec="aac")
_clip(GOOD, "quicktime.mov", FACES, sound=VOICE)


@_add(GOOD, "odd_size.mkv")
def _odd_size(folder: Path) -> Path:
    return _raw_video(folder / "odd_size.mkv", [FACE[:127, :125]] * N_FRAMES, "bgr0")


@_add(GOOD, "grey.mkv")
def _grey(folder: Path) -> Path:
    return _raw_video(folder / "grey.mkv", FACES, "gray")


@_add(GOOD, "16_bit_colour.mkv")
def _deep(folder: Path) -> Path:
    return _raw_video(folder / "16_bit_colour.mkv", FACES, "yuv444p16le")


@_add(GOOD, "transparent.mkv")
def _transparent(folder: Path) -> Path:
    return _raw_video(folder / "transparent.mkv", FACES, "bgra")


def _raw_video(path: Path, frames: list[np.ndarray], pixel_format: str) -> Path:
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("ffv1", rate=25)
        track.height, track.width = frames[0].shape[:2]
        track.pix_fmt = pixel_format
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(track.encode(frame.reformat(format=pixel_format)))
        container.mux(track.encode())
    return path


@_add(GOOD, "size_changes.ts")
def _size_changes(folder: Path) -> Path:
    parts = []
    for index, size in enumerate((128, 192)):
        part = folder / f"_part{index}.ts"
        picture = cv2.resize(FACE, (size, size))
        parts.append(write_clip(part, [picture] * N_FRAMES, sound=VOICE, sound_codec="aac"))
    return _bytes(folder / "size_changes.ts", b"".join(part.read_bytes() for part in parts))


# Sound
for _rate in (8_000, 11_025, 44_100, 192_000):

    def _at_rate(folder: Path, rate: int = _rate) -> Path:
        return _wave(folder / f"{rate}Hz.wav", _pcm(0.5, rate), rate)

    GOOD[f"{_rate}Hz.wav"] = _at_rate


@_add(GOOD, "stereo.wav")
def _stereo(folder: Path) -> Path:
    return _wave(folder / "stereo.wav", _pcm(0.5, 16_000, 2), 16_000, 2)


@_add(GOOD, "5.1.wav")
def _surround(folder: Path) -> Path:
    return _wave(folder / "5.1.wav", _pcm(0.5, 48_000, 6), 48_000, 6)


@_add(GOOD, "8_bit.wav")
def _eight_bit(folder: Path) -> Path:
    samples = (128 + _pcm(0.5, 16_000) // 256).astype(np.uint8)
    return _wave(folder / "8_bit.wav", samples, 16_000, width=1)


@_add(GOOD, "not_finite.wav")
def _not_finite(folder: Path) -> Path:
    samples = tone(0.5).astype("<f4")
    samples[1000:1100], samples[2000:2010] = np.nan, np.inf
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + samples.nbytes, b"WAVEfmt ", 16, 3, 1,
                       16_000, 64_000, 4, 32, b"data", samples.nbytes)  # fmt: skip
    return _bytes(folder / "not_finite.wav", head + samples.tobytes())


_clip(GOOD, "clipped.wav", sound=np.sign(VOICE))
_clip(GOOD, "no_sound_at_all.wav", sound=0 * VOICE)
_clip(GOOD, "sound.mp3", sound=VOICE, sound_codec="libmp3lame")
_clip(GOOD, "sound.ogg", sound=VOICE, sound_codec="flac")
_clip(GOOD, "sound.opus", sound=VOICE, sound_codec="libopus")
_clip(GOOD, "sound.flac", sound=VOICE, sound_codec="flac")
_clip(GOOD, "sound.m4a", sound=VOICE, sound_codec="aac")
_clip(BAD, "too_short.wav", sound=tone(0.05))

# Names
_clip(GOOD, "line\nbreak and \N{MOUTH}.wav", sound=VOICE)
_clip(GOOD, "[draft] what*?.wav", sound=VOICE)
_clip(GOOD, "-rf.wav", sound=VOICE)
_clip(GOOD, "n" * 240 + ".wav", sound=VOICE)


@_add(GOOD, "latin1.wav")
def _latin1(folder: Path) -> Path:
    path = Path(os.fsdecode(bytes(folder) + b"/caf\xe9.wav"))  # no UTF-8
    write_clip(folder / "_latin1.wav", sound=VOICE).rename(path)
    return path


@_add(GOOD, "video_called.wav")
def _wrong_extension(folder: Path) -> Path:
    return _bytes(folder / "video_called.wav", _whole(folder))


@_add(GOOD, "no_extension")
def _no_extension(folder: Path) -> Path:
    return _bytes(folder / "no_extension", _whole(folder))


@_add(GOOD, "link.mp4")
def _link(folder: Path) -> Path:
    _whole(folder)
    path = folder / "link.mp4"
    path.symlink_to("_whole.mp4")
    return path


# Damage
@_add(GOOD, "breaks_off.mkv")
def _breaks_off(folder: Path) -> Path:
    path = write_clip(folder / "breaks_off.mkv", _moving(), sound=tone(1.0))
    return _bytes(path, path.read_bytes()[: path.stat().st_size * 2 // 3])


@_add(GOOD, "noise_inside.mp4")
def _noise_inside(folder: Path) -> Path:
    content = bytearray(_whole(folder))
    middle = len(content) // 2
    noise = np.random.default_rng(0).integers(0, 256, 200, dtype=np.uint8)
    content[middle : middle + 200] = noise.tobytes()
    return _bytes(folder / "noise_inside.mp4", bytes(content))


@_add(GOOD, "holes.ts")
def _holes(folder: Path) -> Path:
    path = write_clip(folder / "holes.ts", _moving(), sound=tone(1.0), sound_codec="aac")
    packets = [path.read_bytes()[i : i + 188] for i in range(0, path.stat().st_size, 188)]
    return _bytes(path, b"".join(p for i, p in enumerate(packets) if i < 20 or i % 37))


@_add(GOOD, "rubbish_after.mp4")
def _rubbish_after(folder: Path) -> Path:
    return _bytes(folder / "rubbish_after.mp4", _whole(folder) + bytes(5000))


@_add(GOOD, "wild_time.mkv")
def _wild_time(folder: Path) -> Path:
    path = write_clip(folder / "wild_time.mkv", _moving(), options={"bf": "0"})
    block = b"\x81" + struct.pack(">h", 480) + b"\x00"
    wild = b"\x81" + struct.pack(">h", 32_000) + b"\x00"
    return _bytes(path, path.read_bytes().replace(block, wild))


@_add(BAD, "truncated.mp4")
def _truncated(folder: Path) -> Path:
    content = _whole(folder)
    return _bytes(folder / "truncated.mp4", content[: len(content) // 2])


@_add(BAD, "head_alone.mkv")
def _head_alone(folder: Path) -> Path:
    path = write_clip(folder / "head_alone.mkv", _moving(), sound=tone(1.0))
    return _bytes(path, path.read_bytes()[:600])


@_add(BAD, "no_samples.wav")
def _no_samples(folder: Path) -> Path:
    return _wave(folder / "no_samples.wav", np.zeros(0, dtype="<i2"), 16_000)


@_add(BAD, "zeros.mp4")
def _zeros(folder: Path) -> Path:
    return _bytes(folder / "zeros.mp4", bytes(100_000))


@_add(BAD, "random.mp4")
def _random(folder: Path) -> Path:
    return _bytes(folder / "random.mp4", np.random.default_rng(1).bytes(50_000))


# Something else
@_add(BAD, "notes.mp4")
def _text(folder: Path) -> Path:
    return _bytes(folder / "notes.mp4", b"these are words, not a film\n" * 50)


@_add(BAD, "words.srt")
def _subtitles(folder: Path) -> Path:
    return _bytes(folder / "words.srt", b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n")


@_add(BAD, "photo.jpg")
def _photo(folder: Path) -> Path:
    cv2.imwrite(str(folder / "photo.jpg"), FACE)
    return folder / "photo.jpg"


@_add(BAD, "archive.npz")
def _archive(folder: Path) -> Path:
    np.savez(folder / "archive.npz", nothing=np.zeros(3))
    return folder / "archive.npz"


@_add(BAD, "damaged.npz")
def _damaged_archive(folder: Path) -> Path:
    return _bytes(folder / "damaged.npz", b"PK\x03\x04" + bytes(100))


@_add(BAD, "empty.mp4")
def _empty(folder: Path) -> Path:
    return _bytes(folder / "empty.mp4", b"")


@_add(BAD, "folder")
def _folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    return folder / "folder"


@_add(BAD, "folder.mp4")
def _folder_like_a_file(folder: Path) -> Path:
    (folder / "folder.mp4").mkdir()
    return folder / "folder.mp4"


@_add(BAD, "pipe.mp4")
def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


@_add(BAD, "absent.mp4")
def _absent(folder: Path) -> Path:
    return folder / "absent.mp4"


@_add(BAD, "nowhere.mp4")
def _dangling(folder: Path) -> Path:
    (folder / "nowhere.mp4").symlink_to("is_not_there.mp4")
    return folder / "nowhere.mp4"


@_add(BAD, "circle.mp4")
def _circle(folder: Path) -> Path:
    (folder / "circle.mp4").symlink_to("circle.mp4")
    return folder / "circle.mp4"


@_add(BAD, "device")
def _device(_folder: Path) -> Path:
    return Path("/dev/null")

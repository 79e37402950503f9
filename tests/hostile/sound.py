"""Sound."""

import struct
from pathlib import Path

import cv2
import numpy as np

from tests.clips import write_clip
from tests.hostile.makers import BAD, FACE, FACES, GOOD, VOICE, add, add_clip, pcm, put, write_wave
from tests.signals import tone

for _rate in (8_000, 11_025, 44_100, 192_000):

    def _at_rate(folder: Path, rate: int = _rate) -> Path:
        return write_wave(folder / f"{rate}Hz.wav", pcm(0.5, rate), rate)

    GOOD[f"{_rate}Hz.wav"] = _at_rate


@add(GOOD, "stereo.wav")
def _stereo(folder: Path) -> Path:
    return write_wave(folder / "stereo.wav", pcm(0.5, 16_000, 2), 16_000, 2)


@add(GOOD, "5.1.wav")
def _surround(folder: Path) -> Path:
    return write_wave(folder / "5.1.wav", pcm(0.5, 48_000, 6), 48_000, 6)


@add(GOOD, "8_bit.wav")
def _eight_bit(folder: Path) -> Path:
    samples = (128 + pcm(0.5, 16_000) // 256).astype(np.uint8)
    return write_wave(folder / "8_bit.wav", samples, 16_000, width=1)


@add(GOOD, "not_finite.wav")
def _not_finite(folder: Path) -> Path:
    samples = tone(0.5).astype("<f4")
    samples[1000:1100], samples[2000:2010] = np.nan, np.inf
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + samples.nbytes, b"WAVEfmt ", 16, 3, 1,
                       16_000, 64_000, 4, 32, b"data", samples.nbytes)  # fmt: skip
    return put(folder / "not_finite.wav", head + samples.tobytes())


add_clip(GOOD, "clipped.wav", sound=np.sign(VOICE))
add_clip(GOOD, "no_sound_at_all.wav", sound=0 * VOICE)
add_clip(GOOD, "sound.mp3", sound=VOICE, sound_codec="libmp3lame")
add_clip(GOOD, "sound.ogg", sound=VOICE, sound_codec="flac")
add_clip(GOOD, "sound.opus", sound=VOICE, sound_codec="libopus")
add_clip(GOOD, "sound.flac", sound=VOICE, sound_codec="flac")
add_clip(GOOD, "sound.m4a", sound=VOICE, sound_codec="aac")
add_clip(BAD, "too_short.wav", sound=tone(0.05))


# Containers and codecs of sound
for _name, _codec in {
    "raw.aac": "aac",
    "sound.aiff": "pcm_s16be",
    "sound.caf": "pcm_s16be",
    "sound.au": "pcm_s16be",
    "sound.mka": "pcm_s16le",
    "book.m4b": "aac",
    "sound.mp2": "mp2",
    "24_bit.wav": "pcm_s24le",
    "64_bit_float.wav": "pcm_f64le",
    "telephone.wav": "pcm_mulaw",
    "adpcm.wav": "adpcm_ms",
    "alac.m4a": "alac",
}.items():
    add_clip(GOOD, _name, sound=VOICE, sound_codec=_codec)


add_clip(GOOD, "cinema.ac3", sound=VOICE, sample_rate=48_000, sound_codec="ac3")


@add(GOOD, "antiphase.wav")
def _antiphase(folder: Path) -> Path:
    left = pcm(0.5, 16_000)
    return write_wave(folder / "antiphase.wav", np.stack([left, -left], axis=1), 16_000, 2)


@add(GOOD, "one_silent_side.wav")
def _one_sided(folder: Path) -> Path:
    left = pcm(0.5, 16_000)
    return write_wave(folder / "one_silent_side.wav", np.stack([left, 0 * left], axis=1), 16_000, 2)


@add(GOOD, "unknown_length.wav")
def _streamed(folder: Path) -> Path:
    """As programs write it that cannot go back to the header."""
    content = bytearray(write_wave(folder / "_whole.wav", pcm(0.5, 16_000), 16_000).read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    return put(folder / "unknown_length.wav", bytes(content))


@add(GOOD, "less_than_promised.wav")
def _short_of_data(folder: Path) -> Path:
    content = write_wave(folder / "_whole.wav", pcm(1.0, 16_000), 16_000).read_bytes()
    return put(folder / "less_than_promised.wav", content[: len(content) // 2])


@add(GOOD, "with_cover.mp3")
def _cover(folder: Path) -> Path:
    """A picture of the album before the sound, as in most music files."""
    sound = write_clip(folder / "_plain.mp3", sound=VOICE, sound_codec="libmp3lame").read_bytes()
    _, picture = cv2.imencode(".jpg", FACE)
    frame = b"\x00image/jpeg\x00\x03\x00" + picture.tobytes()
    frame = b"APIC" + struct.pack(">IH", len(frame), 0) + frame
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return put(folder / "with_cover.mp3", b"ID3\x03\x00\x00" + size + frame + sound)


@add(GOOD, "chained.ogg")
def _chained(folder: Path) -> Path:
    parts = [
        write_clip(folder / f"_part{n}.ogg", sound=tone(0.5, 150.0 + 60 * n), sound_codec="libopus")
        for n in range(2)
    ]
    return put(folder / "chained.ogg", b"".join(part.read_bytes() for part in parts))


@add(GOOD, "joined.ts")
def _joined(folder: Path) -> Path:
    parts = [
        write_clip(folder / f"_part{n}.ts", FACES, sound=VOICE, sound_codec="aac") for n in range(2)
    ]
    return put(folder / "joined.ts", b"".join(part.read_bytes() for part in parts))

"""Damage."""

import struct
from pathlib import Path

import numpy as np

from tests.clips import write_clip
from tests.hostile.makers import BAD, GOOD, add, moving, pcm, put, whole_clip, write_wave
from tests.signals import tone


@add(GOOD, "breaks_off.mkv")
def _breaks_off(folder: Path) -> Path:
    path = write_clip(folder / "breaks_off.mkv", moving(), sound=tone(1.0))
    return put(path, path.read_bytes()[: path.stat().st_size * 2 // 3])


@add(GOOD, "noise_inside.mp4")
def _noise_inside(folder: Path) -> Path:
    content = bytearray(whole_clip(folder))
    middle = len(content) // 2
    noise = np.random.default_rng(0).integers(0, 256, 200, dtype=np.uint8)
    content[middle : middle + 200] = noise.tobytes()
    return put(folder / "noise_inside.mp4", bytes(content))


@add(GOOD, "holes.ts")
def _holes(folder: Path) -> Path:
    path = write_clip(folder / "holes.ts", moving(), sound=tone(1.0), sound_codec="aac")
    packets = [path.read_bytes()[i : i + 188] for i in range(0, path.stat().st_size, 188)]
    return put(path, b"".join(p for i, p in enumerate(packets) if i < 20 or i % 37))


@add(GOOD, "rubbish_after.mp4")
def _rubbish_after(folder: Path) -> Path:
    return put(folder / "rubbish_after.mp4", whole_clip(folder) + bytes(5000))


@add(GOOD, "wild_time.mkv")
def _wild_time(folder: Path) -> Path:
    path = write_clip(folder / "wild_time.mkv", moving(), options={"bf": "0"})
    block = b"\x81" + struct.pack(">h", 480) + b"\x00"
    wild = b"\x81" + struct.pack(">h", 32_000) + b"\x00"
    return put(path, path.read_bytes().replace(block, wild))


@add(BAD, "truncated.mp4")
def _truncated(folder: Path) -> Path:
    content = whole_clip(folder)
    return put(folder / "truncated.mp4", content[: len(content) // 2])


@add(BAD, "head_alone.mkv")
def _head_alone(folder: Path) -> Path:
    path = write_clip(folder / "head_alone.mkv", moving(), sound=tone(1.0))
    return put(path, path.read_bytes()[:600])


@add(BAD, "no_samples.wav")
def _no_samples(folder: Path) -> Path:
    return write_wave(folder / "no_samples.wav", np.zeros(0, dtype="<i2"), 16_000)


@add(BAD, "zeros.mp4")
def _zeros(folder: Path) -> Path:
    return put(folder / "zeros.mp4", bytes(100_000))


@add(BAD, "random.mp4")
def _random(folder: Path) -> Path:
    return put(folder / "random.mp4", np.random.default_rng(1).bytes(50_000))


@add(BAD, "container_mark_alone.mp4")
def _mark_alone(folder: Path) -> Path:
    return put(
        folder / "container_mark_alone.mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42"
    )


@add(BAD, "tag_alone.mp3")
def _tag_alone(folder: Path) -> Path:
    return put(folder / "tag_alone.mp3", b"ID3\x03\x00\x00\x00\x00\x00\x40" + bytes(64))


@add(BAD, "null_packets.ts")
def _null_packets(folder: Path) -> Path:
    return put(folder / "null_packets.ts", (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 100)


@add(BAD, "no_rate.wav")
def _no_rate(folder: Path) -> Path:
    content = bytearray(write_wave(folder / "_whole.wav", pcm(0.5, 16_000), 16_000).read_bytes())
    content[24:28] = bytes(4)
    return put(folder / "no_rate.wav", bytes(content))


@add(BAD, "no_channels.wav")
def _no_channels(folder: Path) -> Path:
    content = bytearray(write_wave(folder / "_whole.wav", pcm(0.5, 16_000), 16_000).read_bytes())
    content[22:24] = bytes(2)
    return put(folder / "no_channels.wav", bytes(content))


@add(BAD, "encrypted.mp4")
def _encrypted(folder: Path) -> Path:
    content = whole_clip(folder).replace(b"avc1\x00\x00\x00\x00", b"encv\x00\x00\x00\x00")
    content = content.replace(b"mp4a\x00\x00\x00\x00", b"enca\x00\x00\x00\x00")
    return put(folder / "encrypted.mp4", content)


@add(BAD, "half_downloaded.mp4.part")
def _half_downloaded(folder: Path) -> Path:
    return put(folder / "half_downloaded.mp4.part", whole_clip(folder)[:3000])

"""Sound and pictures as bytes: what a client of a live connection sends, one message each.

A message is a head of 16 bytes (little-endian) and what it announces::

    offset  0   1 byte    1: sound, 2: a picture
            1   3 bytes   zero
            4   uint32    sound: samples per second; a picture: 0
            8   float64   seconds from the beginning, by one clock for sound and pictures
           16             sound: 16-bit signed samples, one channel; a picture: a JPEG
"""

import io
import math
import struct

import numpy as np

from avsr.errors import InputError
from avsr.live.sources import Picture, Sound

__all__ = [
    "LARGEST_MESSAGE",
    "BadMessageError",
    "comes_at",
    "pack_picture",
    "pack_sound",
    "unpack",
]

LARGEST_MESSAGE = 2_000_000  # bytes
_HEAD = struct.Struct("<B3xId")
_SOUND, _PICTURE = 1, 2
_FULL_SCALE = 32768
_RATES = (8_000, 192_000)  # lowest and highest, Hz
_LONGEST_S = 5.0  # of one piece of sound
_LARGEST_SIDE = 1920  # pixels


class BadMessageError(InputError):
    """A message that is no sound and no picture."""


def pack_sound(sound: Sound) -> bytes:
    """A message of sound; channels are averaged, and what is above full scale is cut off."""
    samples = np.asarray(sound.samples, dtype=np.float32)
    samples = samples if samples.ndim == 1 else samples.mean(axis=1)
    whole = np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    return _HEAD.pack(_SOUND, sound.rate, sound.time_s) + whole.astype("<i2").tobytes()


def pack_picture(picture: Picture, quality: int = 85) -> bytes:
    """A message of a picture, as a JPEG of this quality (1 to 95)."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture.rgb).save(file, "JPEG", quality=quality)
    return _HEAD.pack(_PICTURE, 0, picture.time_s) + file.getvalue()


def comes_at(message: bytes) -> float:
    """When what a message holds has been seen or heard in full, seconds; only its head is read.

    Raises:
        BadMessageError: if it is neither sound nor a picture, or beyond what is taken: 2 MB, 5 s of
            sound of 8 to 192 kHz.
    """
    kind, rate, time_s = _head(message)
    if kind == _PICTURE:
        return time_s
    n_bytes = len(message) - _HEAD.size
    if not _RATES[0] <= rate <= _RATES[1]:
        raise BadMessageError(
            f"sound must have {_RATES[0]} to {_RATES[1]} samples per second, got {rate}"
        )
    if n_bytes % 2 or n_bytes > 2 * rate * _LONGEST_S:
        raise BadMessageError(
            f"sound must be 16-bit samples of at most {_LONGEST_S:g} s, got {n_bytes} bytes at "
            f"{rate} Hz"
        )
    return time_s + n_bytes / 2 / rate


def unpack(message: bytes) -> Picture | Sound:
    """What a message holds.

    Raises:
        BadMessageError: as :func:`comes_at`, and if a picture is no JPEG of at most 1920 pixels a
            side.
    """
    comes_at(message)
    kind, rate, time_s = _head(message)
    content = memoryview(message)[_HEAD.size :]
    if kind == _PICTURE:
        return Picture(rgb=_rgb(content), time_s=time_s)
    samples = np.frombuffer(content, dtype="<i2").astype(np.float32) / _FULL_SCALE
    return Sound(samples=samples, rate=rate, time_s=time_s)


def _head(message: bytes) -> tuple[int, int, float]:
    """Kind, rate and time."""
    if not _HEAD.size < len(message) <= LARGEST_MESSAGE:
        raise BadMessageError(
            f"a message must have more than {_HEAD.size} and at most {LARGEST_MESSAGE} bytes, got "
            f"{len(message)}"
        )
    kind, rate, time_s = _HEAD.unpack_from(message)
    if kind not in (_SOUND, _PICTURE):
        raise BadMessageError(f"a message must begin with 1 (sound) or 2 (a picture), got {kind}")
    if not (math.isfinite(time_s) and time_s >= 0):
        raise BadMessageError(f"a time must be seconds from 0 on, got {time_s}")
    return kind, rate, time_s


def _rgb(content: memoryview) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
            if max(picture.size) > _LARGEST_SIDE:
                raise BadMessageError(
                    f"a picture must have at most {_LARGEST_SIDE} pixels a side, got "
                    f"{picture.width}x{picture.height}"
                )
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadMessageError("a picture must be a JPEG; this one cannot be decoded") from error

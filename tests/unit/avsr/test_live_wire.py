"""Sound and pictures as messages, and the queue of those that a client sent."""

import struct
import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from avsr.live.remote import ConnectionGone, RemoteSource
from avsr.live.sources import Picture, Sound
from avsr.live.wire import BadMessageError, comes_at, pack_picture, pack_sound, unpack
from tests.signals import tone


def _unexpected(error: BadMessageError) -> None:
    raise AssertionError(error)


def _picture(time_s: float, side: int = 64) -> Picture:
    return Picture(rgb=np.full((side, side, 3), 90, dtype=np.uint8), time_s=time_s)


def _sound(time_s: float, n: int = 640) -> Sound:
    return Sound(samples=np.zeros(n, np.float32), rate=16_000, time_s=time_s)


def test_sound_comes_back_to_a_sixteenth_bit() -> None:
    stereo = np.stack([tone(0.5), 0 * tone(0.5)], axis=1)
    message = pack_sound(Sound(samples=stereo, rate=16_000, time_s=1.25))
    sound = unpack(message)
    assert isinstance(sound, Sound)
    assert (sound.rate, sound.time_s, comes_at(message)) == (16_000, 1.25, 1.75)
    np.testing.assert_allclose(sound.samples, stereo.mean(axis=1), atol=1 / 32768)


def test_sound_beyond_full_scale_is_cut_off() -> None:
    sound = unpack(pack_sound(Sound(samples=np.array([-3.0, 3.0]), rate=8_000, time_s=0.0)))
    assert isinstance(sound, Sound)
    assert sound.samples == pytest.approx([-1.0, 1.0], abs=1e-4)


def test_a_picture_comes_back_nearly() -> None:
    message = pack_picture(_picture(2.0))
    picture = unpack(message)
    assert isinstance(picture, Picture)
    assert (picture.time_s, comes_at(message)) == (2.0, 2.0)
    np.testing.assert_allclose(picture.rgb, _picture(0.0).rgb, atol=3)


def test_the_layout_is_the_documented_one() -> None:
    message = b"\1\0\0\0" + struct.pack("<I", 48_000) + struct.pack("<d", 0.5) + b"\0\x40" * 480
    sound = unpack(message)
    assert isinstance(sound, Sound)
    assert (sound.rate, sound.time_s, len(sound.samples)) == (48_000, 0.5, 480)
    assert sound.samples[0] == 0.5
    assert message == pack_sound(sound)


def _message(kind: int, rate: int, time_s: float, content: bytes) -> bytes:
    return struct.pack("<B3xId", kind, rate, time_s) + content


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"", "bytes, got 0"),
        (_message(1, 16_000, 0.0, b""), "bytes, got 16"),
        (_message(2, 0, 0.0, bytes(2_000_000)), "at most 2000000"),
        (_message(3, 0, 0.0, b"ab"), r"1 \(sound\) or 2 \(a picture\), got 3"),
        (_message(1, 16_000, float("nan"), b"ab"), "seconds from 0 on, got nan"),
        (_message(2, 0, -1.0, b"ab"), "seconds from 0 on"),
        (_message(1, 0, 0.0, b"ab"), "samples per second, got 0"),
        (_message(1, 16_000, 0.0, b"abc"), "16-bit"),
        (_message(1, 8_000, 0.0, bytes(8_000 * 12)), "at most 5 s"),
        (_message(2, 0, 0.0, b"no jpeg"), "must be a JPEG"),
        (pack_picture(_picture(0.0))[:200], "must be a JPEG"),
        (pack_picture(_picture(0.0, 2000)), "1920 pixels a side, got 2000x2000"),
    ],
)
def test_what_is_no_message_is_told(message: bytes, says: str) -> None:
    with pytest.raises(BadMessageError, match=says):
        unpack(message)


def test_a_source_gives_what_has_come_and_its_clock_is_the_newest_of_it() -> None:
    source = RemoteSource(_unexpected)
    for time_s in (0.0, 0.04, 0.08):
        source.put(pack_picture(_picture(time_s)))
    source.put(pack_sound(_sound(0.0, 3200)))
    assert source.now() == 0.2
    items = source.take(0.0)
    assert [type(item) for item in items] == [Picture] * 3 + [Sound]
    assert [a.time_s <= b.time_s for a, b in pairwise(items[:3])] == [True, True]
    assert source.take(0.0) == []
    assert not source.is_over
    source.finish()
    source.wait_until(100.0)
    assert source.is_over


def test_a_damaged_picture_is_told_and_the_others_are_given() -> None:
    told: list[BadMessageError] = []
    source = RemoteSource(on_bad=told.append)
    source.put(pack_picture(_picture(0.0)))
    source.put(_message(2, 0, 0.04, b"no jpeg"))
    source.put(pack_picture(_picture(0.08)))
    assert [item.time_s for item in source.take(0.0)] == [0.0, 0.08]
    assert len(told) == 1


def test_who_sends_too_much_waits_for_room() -> None:
    source = RemoteSource(_unexpected)
    n = 0
    while source.has_room:
        source.put(pack_sound(_sound(0.04 * n)))
        n += 1
    giver = threading.Thread(target=source.put, args=(pack_sound(_sound(0.04 * n)),))
    giver.start()
    time.sleep(0.05)
    assert giver.is_alive()
    assert len(source.take(0.0)) == n
    giver.join(10)
    assert len(source.take(0.0)) == 1


def test_who_waits_is_told_when_the_client_has_gone() -> None:
    source = RemoteSource(_unexpected)
    gone: list[str] = []

    def wait() -> None:
        with pytest.raises(ConnectionGone):
            source.wait_until(10.0)
        gone.append("noticed")

    taker = threading.Thread(target=wait)
    taker.start()
    source.break_off()
    taker.join(10)
    assert gone == ["noticed"]
    with pytest.raises(ConnectionGone):
        source.take(0.0)
    with pytest.raises(ConnectionGone):
        _ = source.is_over

"""Where live sound and pictures come from: a file that is played as if it were live, or devices."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from avsr.errors import InputError
from avsr.live.clocks import Clock
from avsr.live.stream import LiveStream, LiveUpdate
from avsr_frontends.media import iter_audio, iter_video, probe
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

__all__ = ["AsIfLive", "LiveSource", "Picture", "Sound", "captions"]

_STEP_S = 0.04  # between looks at a source


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture, [H, W, 3] uint8 RGB, shown from ``time_s`` on."""

    rgb: np.ndarray
    time_s: float


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Samples [n] or [n, channels] at ``rate``, which begin at ``time_s``."""

    samples: np.ndarray
    rate: int
    time_s: float


class LiveSource(Protocol):
    """Gives what has come."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        ...

    def take(self, now_s: float) -> list[Picture | Sound]:
        """What has come up to a time since the last call, in order of time."""
        ...


class AsIfLive:
    """A file's sound and pictures, each when it would come from a camera and a microphone."""

    def __init__(self, path: str | Path, *, sound: bool = True, picture: bool = True) -> None:
        """Open a file.

        Args:
            path: a media file.
            sound: whether the sound is wanted.
            picture: whether the pictures are wanted.

        Raises:
            MediaError: if it cannot be read.
            InputError: if it has nothing that is wanted.
        """
        info = probe(path)
        items: list[Generator[Picture | Sound, None, None]] = []
        if sound and info.has_audio:
            items.append(_sounds(path))
        if picture and info.has_video:
            items.append(_pictures(path))
        if not items:
            wanted = " and ".join(["sound"] * sound + ["picture"] * picture)
            raise InputError(f"{path}: has no {wanted}; give another file or modality")
        self._items = items
        self._heads = [next(item, None) for item in items]

    @property
    def is_over(self) -> bool:
        """Whether all has been given."""
        return all(head is None for head in self._heads)

    def take(self, now_s: float) -> list[Picture | Sound]:
        """What has come up to a time since the last call, in order of time."""
        taken: list[Picture | Sound] = []
        for index, item in enumerate(self._items):
            while (head := self._heads[index]) is not None and _comes_at(head) <= now_s:
                taken.append(head)
                self._heads[index] = next(item, None)
        return sorted(taken, key=_comes_at)


def captions(
    stream: LiveStream, source: LiveSource, clock: Clock
) -> Iterator[tuple[float, LiveUpdate]]:
    """Let a stream read a source until it is over.

    Args:
        stream: it is finished, not closed.
        source: gives sound and pictures.
        clock: begins with the source.

    Yields:
        The time of the clock with each update.
    """
    stream.timer = clock.work_s
    while not source.is_over:
        for item in source.take(clock.now()):
            if isinstance(item, Picture):
                stream.add_picture(item.rgb, item.time_s)
            else:
                stream.add_sound(item.samples, item.rate, item.time_s)
        now_s = clock.now()
        update = stream.read(now_s)
        yield clock.now(), update
        clock.wait_until(now_s + _STEP_S)
    update = stream.finish()
    yield clock.now(), update


def _comes_at(item: Picture | Sound) -> float:
    """When an item is there: sound when its last sample has been heard."""
    if isinstance(item, Picture):
        return item.time_s
    return item.time_s + len(item.samples) / item.rate


def _pictures(path: str | Path) -> Generator[Picture | Sound, None, None]:
    for index, picture in enumerate(iter_video(path)):
        yield Picture(rgb=picture, time_s=index / VIDEO_FPS)


def _sounds(path: str | Path) -> Generator[Picture | Sound, None, None]:
    n_samples = round(_STEP_S * SAMPLE_RATE)
    n_given = 0
    held = np.zeros(0, dtype=np.float32)
    for piece in iter_audio(path):
        held = np.concatenate([held, piece])
        while len(held) >= n_samples:
            time_s, n_given = n_given / SAMPLE_RATE, n_given + n_samples
            yield Sound(samples=held[:n_samples], rate=SAMPLE_RATE, time_s=time_s)
            held = held[n_samples:]
    if len(held):
        yield Sound(samples=held, rate=SAMPLE_RATE, time_s=n_given / SAMPLE_RATE)

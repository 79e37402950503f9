"""What a client sends over a connection, for the thread that reads it."""

import threading
import time
from collections import deque
from collections.abc import Callable

from avsr.live.sources import Picture, Sound
from avsr.live.wire import BadMessageError, comes_at, unpack

__all__ = ["ConnectionGone", "RemoteSource"]

_MOST_WAITING = 250  # messages, some five seconds: more are not taken before there is room


class ConnectionGone(Exception):
    """The client has left."""


class RemoteSource:
    """Messages of a client, and the clock that they make.

    The time is that of the newest message: what waits in the network is not behind, what waits
    here is. One thread gives (:meth:`put`, :meth:`finish`, :meth:`break_off`), another one takes.

    Attributes:
        latest_s: when the newest thing that has come was seen or heard in full.
    """

    def __init__(self, on_bad: Callable[[BadMessageError], object]) -> None:
        """Prepare.

        Args:
            on_bad: told of a picture that cannot be decoded, in the thread that takes.
        """
        self.latest_s = 0.0
        self._on_bad = on_bad
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._finished = self._broken = False

    @property
    def has_room(self) -> bool:
        """Whether the next message would be taken at once."""
        return len(self._waiting) < _MOST_WAITING

    def put(self, message: bytes) -> None:
        """Append a message; where there is no room, wait until there is, or the end has come.

        Raises:
            BadMessageError: if it is none.
        """
        time_s = comes_at(message)
        with self._changed:
            self._changed.wait_for(lambda: self.has_room or self._broken)
            self._waiting.append(message)
            self.latest_s = max(self.latest_s, time_s)
            self._changed.notify_all()

    def finish(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """Nobody wants the captions any more."""
        with self._changed:
            self._broken = True
            self._waiting.clear()
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes.

        Raises:
            ConnectionGone: if the client has left.
        """
        self._check()
        return self._finished and not self._waiting

    def take(self, now_s: float) -> list[Picture | Sound]:
        """What has come since the last call.

        Raises:
            ConnectionGone: if the client has left.
        """
        with self._changed:
            self._check()
            messages = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        items: list[Picture | Sound] = []
        for message in messages:
            try:
                items.append(unpack(message))
            except BadMessageError as error:  # a damaged picture: the others are good
                self._on_bad(error)
        return items

    def now(self) -> float:
        """The time of the newest message."""
        return self.latest_s

    def work_s(self) -> float:
        """Real time."""
        return time.monotonic()

    def wait_until(self, time_s: float) -> None:
        """Wait for a message of that time, or the end.

        Raises:
            ConnectionGone: if the client has left.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self.latest_s >= time_s or self._finished or self._broken
            )
            self._check()

    def _check(self) -> None:
        if self._broken:
            raise ConnectionGone

"""The time of a live recording: real, or one that passes only while the processor works."""

import time
from typing import Protocol

__all__ = ["Clock", "SimulatedClock", "WallClock"]


class Clock(Protocol):
    """Seconds since a live recording began."""

    def now(self) -> float:
        """What time it is."""
        ...

    def work_s(self) -> float:
        """Seconds of work since some moment: how long a reading takes, by the difference."""
        ...

    def wait_until(self, time_s: float) -> None:
        """Do nothing until then; nothing at all where that is past."""
        ...


class WallClock:
    """Real time, from when it is made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def now(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started

    def work_s(self) -> float:
        """The same."""
        return self.now()

    def wait_until(self, time_s: float) -> None:
        """Sleep."""
        left = time_s - self.now()
        if left > 0:
            time.sleep(left)


class SimulatedClock:
    """Work takes the processor's time of this process, waiting takes none.

    What happens is as in real time on one free core, however busy the machine is; the work of
    several threads counts as if it were done one after the other.
    """

    def __init__(self) -> None:
        self._started = time.process_time()
        self._skipped_s = 0.0

    def now(self) -> float:
        """Seconds since it was made, those included that were waited for."""
        return time.process_time() - self._started + self._skipped_s

    def work_s(self) -> float:
        """The processor's time of this process."""
        return time.process_time()

    def wait_until(self, time_s: float) -> None:
        """Let the time pass at once."""
        self._skipped_s += max(0.0, time_s - self.now())

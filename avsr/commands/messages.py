"""What commands say on standard error while they work."""

import sys
import time

_SECONDS_BETWEEN_LINES = 10.0  # where progress cannot be redrawn in place


def say(message: str) -> None:
    """Print one line to standard error."""
    print(" ".join(message.split()), file=sys.stderr, flush=True)


class ProgressLine:
    """Progress on standard error: redrawn in place on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._started = self._last
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` items of a stage are finished."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._started = stage, now
        left_s = (now - self._started) / done * (total - done) if done else 0.0
        text = f"{stage}: {done}/{total}" + (f", {left_s:.0f} s left" if 0 < done < total else "")
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r\033[K{text}", end=end, file=sys.stderr, flush=True)
        elif done == total or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            say(text)

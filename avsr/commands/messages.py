"""What commands say on standard error while they work."""

import io
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

_SECONDS_BETWEEN_LINES = 10.0  # where progress cannot be redrawn in place


def say(message: str) -> None:
    """Print one line to standard error."""
    print(" ".join(message.split()), file=sys.stderr, flush=True)


def escape_unprintable() -> None:
    """Let both outputs take any text: what their encoding lacks becomes a backslash escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def json_line(values: Mapping[str, Any]) -> str:
    """Values as JSON on one line that standard output can take as it is."""
    line = json.dumps(values, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(values)
    return line


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
        text = f"{stage}: {done}/{total}"
        if 0 < done < total and now > self._started:
            per_s = done / (now - self._started)
            rate = f"{per_s:.1f}" if per_s >= 1 else f"{per_s:.2f}"
            text += f", {rate}/s, {clock((total - done) / per_s)} left"
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r\033[K{text}", end=end, file=sys.stderr, flush=True)
        elif done == total or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            say(text)


def clock(seconds: float) -> str:
    """Seconds as people read them: 45 s, 3:05, 2:03:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"

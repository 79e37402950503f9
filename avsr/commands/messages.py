"""What commands say on standard error while they work."""

import io
import json
import sys
from collections.abc import Mapping
from typing import Any


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


def clock(seconds: float) -> str:
    """Seconds as people read them: 45 s, 3:05, 2:03:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"

"""Keeps mediapipe's start-up chatter off the terminal.

Its C++ parts write notes to file descriptor 2 before their logging can be configured, and no
setting of theirs stops it.
"""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTER = re.compile(  # may stand behind what a progress bar has left on the line
    rb"(?:[IW]\d{4} \d\d:\d\d|[IW]0000 00:00:\d|INFO: Created TensorFlow Lite"
    rb"|WARNING: All log messages before absl)[^\n]*\n?"
)
_lock = threading.Lock()


@contextmanager
def without_native_chatter() -> Iterator[None]:
    """Hold back file descriptor 2 for a moment, and pass on all but information and warnings.

    Meant for spans of milliseconds around starting a model. What others write to it meanwhile
    arrives a little later, unchanged. Spans of several threads follow one another.
    """
    with _lock:
        try:
            terminal = os.dup(2)
        except OSError:  # no standard error at all
            yield
            return
        with tempfile.TemporaryFile(buffering=0) as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(terminal, 2)
                held.seek(0)
                _write_all(terminal, _CHATTER.sub(b"", held.read()))
                os.close(terminal)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

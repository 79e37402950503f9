"""Ctrl+C on commands in processes of their own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ADVICE = "the same command goes on from there"
BUSY = """
import signal, time
from avsr.commands import interruption
interruption.watch()
interruption.goes_on("the same command goes on from there")
if deaf:  # as native code is
    signal.signal(signal.SIGINT, lambda *_: None)
try:
    print("ready", flush=True)
    time.sleep(60)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(60)  # threads that are waited for
"""


@pytest.mark.parametrize("deaf", [True, False])
@pytest.mark.parametrize("n_signals", [1, 2])
def test_an_interrupt_is_answered_at_once_and_over_soon(deaf: bool, n_signals: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", f"deaf = {deaf}\n{BUSY}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "stopping; what is done is kept\n"
    assert time.monotonic() - started < 1
    if n_signals == 2:
        process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert time.monotonic() - started < (2 if n_signals == 1 else 1)
    assert rest == f"avsr: stopped; {ADVICE}\n"
    assert process.returncode == 130


@pytest.mark.parametrize("wait_s", [1.0, 3.0])
def test_transcribe_stops_while_it_loads_or_reads(
    media: Path, tmp_path: Path, wait_s: float
) -> None:
    files = [tmp_path / f"{number}.mp4" for number in range(60)]  # more than anyone reads by then
    for file in files:
        file.symlink_to(media / "av.mp4")
    command = [sys.executable, "-m", "avsr", "transcribe", "-m", "grid-tiny"]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out"), *map(str, files)], stderr=subprocess.PIPE, text=True
    )
    time.sleep(wait_s)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, messages = process.communicate(timeout=30)
    assert time.monotonic() - started < 2.5
    assert process.returncode == 130
    assert "stopping; what is done is kept\n" in messages
    assert messages.count("avsr: stopped; the same command with --skip-existing") == 1
    assert "Traceback" not in messages


def test_an_interrupt_while_an_object_is_deleted_shows_no_traceback() -> None:
    code = (
        "import signal\n"
        "from avsr.commands import interruption\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "interruption.watch()\n"
        "class Deleted:\n"
        "    def __init__(self, error): self.error = error\n"
        "    def __del__(self): raise self.error\n"
        "Deleted(KeyboardInterrupt())\n"
        "Deleted(ValueError('told'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=True
    )
    assert done.stderr.count("Traceback") == 1
    assert "ValueError: told" in done.stderr

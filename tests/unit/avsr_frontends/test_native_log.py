"""Keeping native start-up notes off the terminal."""

import os

import pytest

from avsr_frontends.native_log import without_native_chatter

CHATTER = [
    b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n",
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    b"W0000 00:00:1795454049.343524    5238 some_file.cc:114] a note\n",
    b"I1123 17:04:05.343524    5238 some_file.cc:114] a note\n",
]
REST = [b"E0000 00:00:1795454049.343524 5238 some_file.cc:1] a failure\n", b"a line of ours\n"]


def test_notes_are_dropped_and_everything_else_passes(capfd: pytest.CaptureFixture[str]) -> None:
    with without_native_chatter():
        for line in [*CHATTER, *REST]:
            os.write(2, line)
        assert capfd.readouterr().err == ""
    os.write(2, b"after\n")
    assert capfd.readouterr().err.encode() == b"".join(REST) + b"after\n"


def test_a_note_behind_an_unfinished_line_is_dropped_too(capfd: pytest.CaptureFixture[str]) -> None:
    """As a progress bar leaves one."""
    with without_native_chatter():
        os.write(2, b"\r3 of 10: 25%")
        os.write(2, CHATTER[2])
        os.write(2, b"\r3 of 10: 50%")
    assert capfd.readouterr().err == "\r3 of 10: 25%\r3 of 10: 50%"


def test_messages_survive_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_native_chatter():
            os.write(2, b"a line of ours\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capfd.readouterr().err == "a line of ours\n"

"""Progress on standard error."""

import io
import sys

import pytest

from avsr.commands.progress import ProgressDisplay, close_progress


class Terminal(io.StringIO):
    """Takes what is written to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("avsr.commands.progress.time.monotonic", lambda: now[0])
    return now


def test_lines_show_rate_and_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = ProgressDisplay()
    progress("preparing clips", 0, 1000)
    steps = ((20, 105.0), (60, 115.0), (61, 116.0), (70, 205.0), (1000, 2000.0))
    for done, clock[0] in steps:
        progress("preparing clips", done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "preparing clips (6%): 60/1000, 4.0/s, 3:55 left",
        "preparing clips (7%): 70/1000, 0.50/s, 31:00 left",
        "preparing clips: 1000/1000, 31:40",
    ]


def test_what_comes_before_the_first_item_does_not_count(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = ProgressDisplay()
    progress("readings", 0, 100)
    for done, clock[0] in ((1, 160.0), (11, 170.0)):
        progress("readings", done, 100)
    assert capsys.readouterr().err.splitlines()[-1] == "readings (11%): 11/100, 1.0/s, 1:29 left"


def test_what_changes_in_a_stage_does_not_begin_another(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = ProgressDisplay()
    for done, clock[0] in ((0, 100.0), (1, 110.0), (3, 120.0)):
        progress(f"training steps: epoch {done}, loss 0.5", done, 10)
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown == "training steps: epoch 3, loss 0.5 (30%): 3/10, 0.20/s, 35 s left"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_is_one_line(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    progress = ProgressDisplay()
    progress.seconds("3 of 10: " + "a" * 150 + ".mp4", 75.0, 3600.0)
    progress.seconds("3 of 10: " + "a" * 150 + ".mp4", 90.0, 3600.0)
    shown = terminal.getvalue()
    assert "3 of 10: aaa" in shown
    assert "1:30 of 1:00:00" in shown
    assert "\n" not in shown
    with progress.hidden():
        assert terminal.getvalue().endswith("\x1b[2K")  # the line is clean
    assert "1:30 of 1:00:00" in terminal.getvalue()[len(shown) :]
    close_progress()


def test_what_is_waited_for_shows_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = ProgressDisplay()
    progress.waiting("loading libraries")
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    progress.waiting("loading libraries")
    assert "loading libraries" in terminal.getvalue()
    assert "%" not in terminal.getvalue()  # nobody knows how much of it is done
    progress("readings", 1, 4)
    assert "25%" in terminal.getvalue()
    close_progress()

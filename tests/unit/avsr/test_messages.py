"""Progress on standard error."""

import pytest

from avsr.commands.messages import ProgressLine


def test_progress_shows_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr("avsr.commands.messages.time.monotonic", lambda: clock[0])
    progress = ProgressLine()
    progress("preparing clips", 0, 1000)
    for done, clock[0] in ((20, 105.0), (40, 110.0), (41, 111.0), (100, 300.0), (1000, 2000.0)):
        progress("preparing clips", done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "preparing clips: 40/1000, 4.0/s, 4:00 left",
        "preparing clips: 100/1000, 0.50/s, 30:00 left",
        "preparing clips: 1000/1000",
    ]

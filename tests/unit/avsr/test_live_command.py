"""``avsr live``: a file as if it were live, subtitles, JSON lines, Ctrl+C, and devices."""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avsr.cli import run
from avsr.errors import InputError
from avsr.live import sources
from avsr.live.clocks import SimulatedClock, WallClock
from avsr.live.devices import Devices
from avsr.live.sources import Picture, Sound

CLEAN = Path(__file__).parents[3] / "demo" / "samples" / "clean.mp4"
SAID = "set blue with t one please"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avsr.live.clocks.WallClock", SimulatedClock)


def _live(*options: object) -> int:
    return run(
        ["live", "-m", "grid-tiny", "--file", str(CLEAN), "--as-if-live", *map(str, options)]
    )


def test_a_sentence_is_printed_and_the_subtitles_grow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _live("--modality", "audio", "--vtt", tmp_path / "talk.vtt") == 0
    assert capsys.readouterr().out.strip() == SAID
    written = (tmp_path / "talk.vtt").read_text().splitlines()
    assert written[0] == "WEBVTT"
    assert " --> " in written[2]
    assert written[3] == SAID


def test_json_lines_never_take_a_committed_word_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert _live("--json-lines", "-q") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    words = [event for event in events if event["event"] == "words"]
    assert " ".join(w["word"] for event in words for w in event["committed"]) == SAID
    assert any(event["guess"] for event in words)
    assert words[-1]["sentence_ends"] or any(event["sentence_ends"] for event in words)


def test_ctrl_c_ends_it_with_what_was_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take = sources.AsIfLive.take

    def interrupted(self: sources.AsIfLive, now_s: float) -> list[Picture | Sound]:
        if now_s > 2.2:
            raise KeyboardInterrupt
        return take(self, now_s)

    monkeypatch.setattr(sources.AsIfLive, "take", interrupted)
    assert _live("--modality", "audio") == 0
    assert capsys.readouterr().out.startswith("set blue with t one")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--file", "a.mp4"], "--as-if-live"),
        (["--as-if-live"], "--file"),
        (["--file", "a.mp4", "--as-if-live", "--camera", "1"], "--camera"),
    ],
)
def test_wrong_usage_is_told(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["live", *options]) == 2
    assert says in capsys.readouterr().err


def test_a_camera_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="camera /nowhere"):
        Devices(WallClock(), camera="/nowhere", sound=False)


class _Microphone:
    """sounddevice.InputStream, with one piece of sound."""

    samplerate = 48_000.0

    def __init__(self, device: Any, channels: int, callback: Any) -> None:
        self.active, self._callback = True, callback

    def start(self) -> None:
        times = SimpleNamespace(inputBufferAdcTime=7.0)
        self._callback(np.zeros((4800, 1), np.float32), 4800, times, None)
        times = SimpleNamespace(inputBufferAdcTime=7.1)
        self._callback(np.ones((4800, 1), np.float32), 4800, times, None)

    def close(self) -> None:
        self.active = False


def test_camera_and_microphone_give_what_they_take_with_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = SimpleNamespace(InputStream=_Microphone)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)  # there is none on a test machine
    with Devices(WallClock(), camera=str(CLEAN), camera_format="mp4") as devices:
        taken: list[Picture | Sound] = []
        ends = time.monotonic() + 20
        while sum(isinstance(one, Picture) for one in taken) < 75 and time.monotonic() < ends:
            taken += devices.take(0.0)
            time.sleep(0.02)
        assert not devices.is_over
    heard = [one for one in taken if isinstance(one, Sound)]
    seen = [one for one in taken if isinstance(one, Picture)]
    assert heard[1].time_s - heard[0].time_s == pytest.approx(0.1)
    assert [one.rate for one in heard] == [48_000, 48_000]
    assert seen[0].rgb.ndim == 3
    assert sorted(one.time_s for one in seen) == [one.time_s for one in seen]
    assert devices.is_over

"""Files that broke real programs: the bundled model gives the right words or complaint."""

import json
from pathlib import Path

import pytest

from avsr.cli import run
from tests.shared_inputs import shared_input


def test_two_people_who_talk_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shared_input("two_talk.mp4")
    options = ["--face", "all", "-f", "all", "-o", str(tmp_path), "-q", "--device", "cpu"]
    assert run(["transcribe", str(path), *options]) == 0
    capsys.readouterr()
    files = {file.suffix: file.read_text() for file in tmp_path.iterdir()}
    assert "face 1: set blue with t one please\n\n2\n" in files[".srt"]
    assert "<v face 1>set blue with t one please\n" in files[".vtt"]
    rows = [line.split("\t") for line in files[".tsv"].splitlines()]
    assert rows[0] == ["start", "end", "text", "speaker"]
    assert [row[3] for row in rows[1:]] == ["face 1", "face 2"]
    segments = json.loads(files[".json"])["segments"]
    for segment, row in zip(segments, rows[1:], strict=True):
        words = segment["words"]
        assert (segment["start"], segment["end"]) == (words[0]["start"], words[-1]["end"])
        assert [round(1000 * segment[key]) for key in ("start", "end")] == [
            int(value) for value in row[:2]
        ]
    assert segments[1]["text"].startswith("bin blue in")
    assert segments[0]["start"] <= segments[1]["start"]


def test_one_person_has_no_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shared_input("ev") / "grid1.mp4"
    options = ["--modality", "audio", "-q", "--device", "cpu", "-f", "tsv"]
    assert run(["transcribe", str(path), *options]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header == "start\tend\ttext"
    start, end, text = row.split("\t")
    assert text == "bin blue in e eight now"
    assert int(start) > 0
    assert int(end) < 2600

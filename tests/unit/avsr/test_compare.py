"""``avsr compare``: the table of a paper, and tests of paired results."""

import json
from pathlib import Path
from typing import Any

import pytest

from avsr.cli import run

WORDS = ["bin", "lay", "place", "set", "blue", "green", "red", "white", "at", "by"]


def _row(modality: str, audio_rate: int | None, noise: str | None = None) -> dict[str, Any]:
    return {"modality": modality, "audio_rate": audio_rate, "video_rate": None, "noise": noise,
            "snr_db": None if noise is None else 0.0, "wer": 0.0, "n_words": 40}  # fmt: skip


def _write(path: Path, rows: list[dict[str, Any]], wrong: list[int], /, **changes: Any) -> Path:
    """Results over 40 clips of four words, of which row ``i`` has the first ``wrong[i]`` wrong."""
    utterances = []
    for number in range(40):
        words = [WORDS[(number + place) % len(WORDS)] for place in range(4)]
        hypotheses = [" ".join(words[:3] if number < n else words) for n in wrong]
        utterances.append(
            {"id": f"clip{number}", "reference": " ".join(words), "hypotheses": hypotheses}
        )
    values = {"settings": {"seed": 0, "noises": {}}, "rows": rows, "utterances": utterances}
    path.write_text(json.dumps(values | changes))
    return path


def _compare(*arguments: object) -> int:
    return run(["compare", *map(str, arguments)])


def test_prints_the_table_of_a_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [_row("audio", 4), _row("audio", 16), _row("audio", 4, "babble")]
    a = _write(tmp_path / "a.json", rows, [20, 8, 16])
    b = _write(tmp_path / "b.json", rows[:2], [4, 8])
    assert _compare(a, b, "--name", "ours,theirs") == 0
    captured = capsys.readouterr()
    header, first, second, third = captured.out.splitlines()
    assert header.split() == ["WER", "%", "ours", "theirs", "difference", "95", "%", "p"]
    # 20 and 4 of 160 words; 16 clips differ, all in favour of the second.
    assert first.split()[:6] == ["audio", "A4,", "clean", "12.50", "2.50", "-10.00"]
    assert first.split()[-1] == "<0.001"
    assert second.split()[3:6] == ["5.00", "5.00", "+0.00"]
    assert second.split()[-1] == "1.000"
    assert third.split() == ["audio", "A4,", "babble", "0", "dB", "10.00", "-", "-", "-", "-"]
    assert "40 clips, 160 words" in captured.err
    assert "not corrected for the number of rows" in captured.err
    assert _compare(a, b, "-f", "markdown") == 0
    assert "| audio A4, clean | 12.50 | **2.50** | -10.00 |" in capsys.readouterr().out
    assert _compare(a, b, "-f", "latex") == 0
    assert r"\textbf{2.50}" in capsys.readouterr().out


def test_files_of_one_row_are_compared_whatever_their_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = _write(tmp_path / "fine.json", [_row("audio", 4)], [2])
    b = _write(tmp_path / "coarse.json", [_row("audio", 16)], [5])
    assert _compare(a, b) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert "audio A4, clean / audio A16, clean" in line
    assert "1.25" in line
    assert "3.12" in line
    assert float(line.split()[-1]) == pytest.approx(0.25, abs=0.03)  # three clips of one error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": [_row("video", None)]}, "no row in common"),
        ({"utterances": []}, "is no results file"),
        ({"settings": None, "rows": 3}, "is no results file"),
    ],
)
def test_refuses_what_cannot_be_compared(
    tmp_path: Path,
    changes: dict[str, Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a = _write(tmp_path / "a.json", [_row("audio", 4), _row("audio", 16)], [1, 1])
    b = _write(tmp_path / "b.json", [_row("audio", 4)], [1], **changes)
    assert _compare(a, b) == 2
    assert message in capsys.readouterr().err
    assert _compare(a) == 2
    assert "give the one to compare it with too" in capsys.readouterr().err
    assert _compare(tmp_path / "none.json") == 2
    assert "no such file" in capsys.readouterr().err
    lines = tmp_path / "lines.jsonl"
    lines.write_text("{}\n{}\n")
    assert _compare(a, lines) == 2
    assert "give the .json that avsr evaluate wrote" in capsys.readouterr().err
    assert _compare(a, tmp_path / "none.json") == 2
    assert "no such file" in capsys.readouterr().err


def test_refuses_other_clips_and_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = _write(tmp_path / "a.json", [_row("audio", 4)], [1])
    values = json.loads(a.read_text())
    values["utterances"][3]["reference"] = "something else"
    b = tmp_path / "b.json"
    b.write_text(json.dumps(values))
    assert _compare(a, b) == 2
    assert "different texts for clip3" in capsys.readouterr().err
    del values["utterances"][3]
    b.write_text(json.dumps(values))
    assert _compare(a, b) == 2
    assert "1 are in one file only, such as clip3" in capsys.readouterr().err

"""``avsr transcribe`` on several inputs: formats, what is skipped, where it stops, what it says."""

import io
import json
import sys
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.commands.events import Events
from avsr.recognizer import Progress
from avsr.transcription import Segment


@pytest.fixture
def folder(media: Path, tmp_path: Path) -> Path:
    """Two sounds and a text that pretends to be one, in a folder with another below it."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.wav").write_bytes((media / "sound.wav").read_bytes())
    (tmp_path / "in" / "b.wav").write_text("no sound")
    (tmp_path / "in" / "deep" / "a.wav").write_bytes((media / "silence.wav").read_bytes())
    return tmp_path / "in"


@pytest.fixture
def transcribe(tiny_folder: Path):
    def call(*arguments: object) -> int:
        options = ["--model", str(tiny_folder), "--device", "cpu", "--keep-unsure"]
        return run(["transcribe", *options, *map(str, arguments)])

    return call


def test_all_formats_of_a_tree(transcribe, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert transcribe(folder, "--recursive", "-f", "all", "-o", out) == 1  # b.wav is no sound
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    kinds = ("json", "srt", "tsv", "txt", "vtt")
    assert names == [*(f"a.{kind}" for kind in kinds), *(f"deep/a.{kind}" for kind in kinds)]
    result = json.loads((out / "a.json").read_text())
    assert result["text"] + "\n" == (out / "a.txt").read_text()
    assert result["file"] == str(folder / "a.wav")
    assert (out / "deep" / "a.srt").read_text() == ""


@pytest.mark.parametrize("name", ["SRT", ".srt", " srt", "All", ".Vtt,TSV"])
def test_formats_are_known_however_they_are_written(
    transcribe, folder: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    assert transcribe(folder / "a.wav", "-f", name, "-o", out) == 0
    expected = {"All": ["json", "srt", "tsv", "txt", "vtt"], ".Vtt,TSV": ["tsv", "vtt"]}
    assert sorted(path.suffix[1:] for path in out.iterdir()) == expected.get(name, ["srt"])


def test_subtitles_as_asked_for(
    transcribe, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--max-line-width", 6, "--max-line-count", 1, "--highlight-words", "--labels"]
    assert transcribe(folder / "a.wav", "-f", "srt", *options) == 0
    shown = capsys.readouterr().out
    assert "<u>" in shown
    texts = [line for line in shown.splitlines() if line and "-->" not in line]
    assert max(len(line.split()) for line in texts) == 1
    assert transcribe(folder / "a.wav", "--max-line-width", 0) == 2


def test_existing_results_are_skipped(
    transcribe, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert transcribe(folder / "a.wav", "-o", out) == 0
    before = (out / "a.txt").stat().st_mtime_ns
    capsys.readouterr()
    assert transcribe(folder / "a.wav", "--skip-existing", "-o", out) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{folder / 'a.wav'}: skipped, its results are there" in captured.err
    assert (out / "a.txt").stat().st_mtime_ns == before
    assert transcribe(folder / "a.wav", "--skip-existing", "-f", "txt,json", "-o", out) == 0
    assert (out / "a.txt").stat().st_mtime_ns != before  # the JSON was missing: both are new
    (out / "a.txt").write_text("put right by hand\n")
    assert transcribe(folder / "a.wav", "-o", out) == 2
    assert "not as an earlier run left it" in capsys.readouterr().err
    assert (out / "a.txt").read_text() == "put right by hand\n"


def test_fail_fast_stops_at_the_first_failure(
    transcribe, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [folder / "b.wav", folder / "a.wav"]
    assert transcribe(*files, "--fail-fast") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 of 2 files failed; stopped there" in captured.err


def test_json_lines_report_each_event(
    transcribe, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(folder, "--json-lines", "--quiet") == 1
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert [event["event"] for event in events] == ["segment", "result", "error"]
    assert events[0]["text"] == events[1]["text"]
    assert events[2]["file"] == str(folder / "b.wav")
    messages = captured.err.splitlines()
    assert len(messages) == 2  # what failed, and how many
    assert messages[0] == f"avsr: {events[2]['message']}"


def test_standard_input(
    transcribe,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, code in (("a.wav", 0), ("b.wav", 1)):
        content = io.BytesIO((folder / name).read_bytes())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
        assert transcribe("-", "-o", tmp_path / name) == code
    captured = capsys.readouterr()
    assert (tmp_path / "a.wav" / "stdin.txt").read_text() == captured.out
    assert "avsr: -: is not a media file" in captured.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-f", "doc"], "'doc' is not one of txt, srt, vtt, tsv, json, all"),
        (["-f", "txt,srt"], "several formats need a folder"),
        (["--start", "3", "--end", "2"], "0 <= start < end"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_wrong_usage(
    transcribe, folder: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(folder / "a.wav", *options) == 2
    assert message in capsys.readouterr().err


def test_progress_tells_speed_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("avsr.commands.progress.time.monotonic", lambda: now[0])
    events = Events(formats=["txt"], json_lines=False, quiet=False)
    events.begin(Path("a.mp4"))
    for now[0], done_s in ((101.0, 60.0), (130.0, 120.0), (132.0, 180.0)):
        events.progress(Path("a.mp4"), Progress(done_s=done_s, total_s=360.0, segments=()))
    messages = capsys.readouterr().err.splitlines()
    # The last report comes too soon after the one before to deserve a line of its own.
    assert messages == ["a.mp4 (33%): 2:00 of 6:00, 1:56 left, real-time factor 0.48"]


def _said(start: float, text: str) -> Segment:
    return Segment(start=start, end=start + 2.5, text=text, avg_logprob=-0.1)


@pytest.mark.parametrize(
    ("is_terminal", "expected"),
    [
        (True, "[00:12.3 -> 00:14.8] one two\n[1:02:03.4 -> 1:02:05.9] three\n"),
        (False, "one two\nthree\n"),
    ],
)
def test_words_come_while_the_file_is_read(
    is_terminal: bool,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    events = Events(formats=["txt"], json_lines=False, quiet=True)
    events.begin(Path("a.mp4"))
    segments = (_said(12.34, "one two"), _said(3723.4, "three"))
    shown = ""
    for segment in segments:
        events.progress(Path("a.mp4"), Progress(done_s=1, total_s=9, segments=(segment,)))
        shown += capsys.readouterr().out
    assert shown == expected


@pytest.mark.parametrize(
    ("options", "prints"),
    [
        ({"formats": ["srt"]}, False),
        ({"formats": ["json"]}, False),
        ({"formats": ["txt"], "json_lines": True}, False),
        ({"formats": ["srt", "json"], "has_files": True}, True),
    ],
)
def test_other_formats_come_whole(
    options: dict, prints: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    events = Events(**{"json_lines": False, "quiet": True, **options})
    events.progress(Path("a.mp4"), Progress(done_s=1, total_s=9, segments=(_said(1, "one"),)))
    words = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
    assert words == (["one"] if prints else [])


def test_what_an_interrupted_run_had_said_is_said_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = Events(formats=["txt"], json_lines=False, quiet=False)
    earlier = (_said(1, "one"), _said(4, "two"))
    events.progress(
        Path("a.mp4"), Progress(done_s=95, total_s=None, segments=earlier, resumed_s=95)
    )
    captured = capsys.readouterr()
    assert captured.out == "one\ntwo\n"
    assert captured.err == "a.mp4: goes on at 1:35, where it was interrupted\n"


def test_each_of_several_files_is_named_with_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = Events(formats=["txt"], json_lines=False, quiet=False)
    file = Path("a" * 90 + ".mp4")
    events.begin(file, 3, 10)
    assert capsys.readouterr().err == f"3 of 10: {file}\n"

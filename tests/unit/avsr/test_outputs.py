"""No output replaces an input or a file that is not ours; what cannot be written is told first."""

import errno
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.errors import UsageError
from avsr.outputs import check_outputs, write_output
from tests.clips import write_clip
from tests.shared_inputs import shared_input
from tests.signals import tone

_REASONS = ("is an input", "not as an earlier run", "holds", "is a folder")


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is worked in, with a clip and files that somebody made by hand."""
    folder = tmp_path / "work"
    folder.mkdir()
    write_clip(folder / "clip.wav", sound=tone(0.5))
    line = json.dumps({"id": "c", "path": "clip.wav", "text": "bin blue"}) + "\n"
    for name in ("manifest.jsonl", "labels.jsonl", "m.jsonl", "results.json", "README.json"):
        (folder / name).write_text(line)
    for name in ("README.md", "test.csv", "clip.txt", "clip.srt", "report.html", "latency.png"):
        (folder / name).write_text("by hand\n")
    write_clip(folder / "x.txt.wav", sound=tone(0.5)).rename(folder / "x.txt")
    (folder / "settings.yaml").write_text("# by hand\noutput: .\ndata: {train: [m.jsonl]}\n")
    (folder / "results2.json.partial").mkdir()
    (folder / "results2.json.partial" / "thesis.tex").write_text("by hand\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "prepare . -o .",
        "prepare labels.jsonl -o .",
        "prepare m.jsonl -o .",
        "evaluate --manifest m.jsonl -o m.jsonl",
        "evaluate --manifest m.jsonl -o results.json",
        "evaluate --manifest m.jsonl -o README",
        "evaluate --manifest m.jsonl -o test.json",
        "evaluate --manifest m.jsonl -o clip.wav",
        "evaluate --manifest m.jsonl -o .",
        "evaluate --manifest m.jsonl --babble-from labels.jsonl -o labels.jsonl",
        "evaluate --manifest m.jsonl -o results2.json",
        "transcribe x.txt -f txt -o .",
        "transcribe clip.wav -f txt -o .",
        "transcribe clip.wav -f srt -o .",
        "transcribe clip.wav -f all -o .",
        "sinks clip.wav -o .",
        "bench clip.wav -o clip.wav",
        "bench -o README.md",
        "bench --plots .",
        "train settings.yaml",
    ],
)
def test_nothing_is_replaced(
    work: Path, tiny_folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _contents(work)
    arguments = command.split()
    if arguments[0] in ("transcribe", "evaluate", "sinks", "bench"):
        arguments += ["--model", str(tiny_folder)]
    if arguments[0] == "train":
        arguments += [f"init.model={tiny_folder}"]
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (message,) = [line for line in captured.err.splitlines() if line.startswith("avsr: ")]
    assert any(words in message for words in _REASONS)
    assert _contents(work) == before


def test_what_a_run_wrote_it_may_write_again(
    work: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(tiny_folder)]
    commands = [
        ["transcribe", "clip.wav", "-f", "all", "-o", "texts", *model],
        ["evaluate", "--manifest", "m.jsonl", "-o", "new/results.json", *model],
        ["prepare", "m.jsonl", "-o", "prepared", "--jobs", "1"],
        ["sinks", "clip.wav", "-o", "sinks", *model],
    ]
    for command in commands:
        assert run(command) == 0, capsys.readouterr().err
        assert run(command) == 0, capsys.readouterr().err
    texts = work / "texts"
    texts.rename(work / "moved")  # notes are of contents, not of places
    assert run(["transcribe", "clip.wav", "-f", "all", "-o", "moved", *model]) == 0
    manifest = work / "prepared" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("bin blue", "bin red"))
    assert run(["prepare", "m.jsonl", "-o", "prepared", "--jobs", "1"]) == 2
    assert "bin red" in manifest.read_text()


def test_a_prepared_folder_is_not_prepared_into_itself(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prepare", "m.jsonl", "-o", "out", "--jobs", "1"]) == 0
    before = _contents(work)
    assert run(["prepare", "out", "-o", "out"]) == 2
    assert "is an input" in capsys.readouterr().err
    assert _contents(work) == before


def test_a_shared_folder_with_a_manifest_made_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shared_input("prepare_source_overwritten")
    for name in ("clean.mp4", "grid1.mp4", "report.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    (tmp_path / "manifest.jsonl").write_bytes((source / "manifest.before.jsonl").read_bytes())
    before = _contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(["prepare", ".", "-o", "."]) == 2
    assert _contents(tmp_path) == before


def test_lips_do_not_replace_a_film(
    tmp_path: Path, media: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "av.mp4-face1.mp4"
    film.write_bytes(b"a film")
    command = ["transcribe", str(media / "av.mp4"), "--model", str(tiny_folder)]
    assert run([*command, "--save-lips", str(tmp_path)]) == 2
    assert film.read_bytes() == b"a film"
    film.unlink()
    for _ in range(2):
        assert run([*command, "--save-lips", str(tmp_path)]) == 0
    twice = [*command, str(tmp_path / "other" / "av.mp4"), "--save-lips", str(tmp_path)]
    assert run(twice) == 2
    assert "several inputs would write" in capsys.readouterr().err


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(UsageError, match=r"/dev/null: is there already"):
        check_outputs([Path("/dev/null")], "speed")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    write_output(tmp_path / "a.txt", "ours\n", "transcript")
    (tmp_path / "b.txt").symlink_to("a.txt")
    check_outputs([tmp_path / "a.txt"], "transcript")
    with pytest.raises(UsageError, match=r"b\.txt: is there already"):
        check_outputs([tmp_path / "b.txt"], "transcript")
    with pytest.raises(UsageError, match=r"a\.txt: is there already"):
        check_outputs([tmp_path / "a.txt"], "speed")


def test_notes_that_cannot_be_kept_harm_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AVSR_STATE", str(tmp_path / "file"))
    write_output(tmp_path / "a.txt", "ours\n", "transcript")
    with pytest.raises(UsageError, match="is there already"):
        check_outputs([tmp_path / "a.txt"], "transcript")


@pytest.fixture
def loads_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: object, **options: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr("avsr.recognizer.load", load)


@pytest.mark.usefixtures("loads_no_model")
def test_a_folder_that_cannot_be_written_to_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "voice.wav", sound=tone(0.5))

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert run(["transcribe", str(path), "-o", str(tmp_path)]) == 2
    assert f"{tmp_path}: cannot write to this folder (Read-only" in capsys.readouterr().err


@pytest.mark.usefixtures("loads_no_model")
def test_a_name_that_is_too_long_is_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / f"{'n' * 251}.wav", sound=tone(0.5))
    assert run(["transcribe", str(path), "-f", "json", "-o", str(tmp_path)]) == 2
    assert "too long" in capsys.readouterr().err


@pytest.mark.parametrize("stem", ["n" * 251, "\N{MOUTH}" * 62])
def test_whatever_fits_can_be_written(tmp_path: Path, tiny_folder: Path, stem: str) -> None:
    path = write_clip(tmp_path / f"{stem}.wav", sound=tone(20.0))
    out = tmp_path / "out"
    assert run(["transcribe", str(path), "-f", "srt", "-o", str(out), "-m", str(tiny_folder)]) == 0
    assert [file.name for file in out.iterdir()] == [f"{stem}.srt"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("form", ["txt", "json", "lines"])
def test_an_output_that_lacks_a_character_gets_escapes(
    tmp_path: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    form: str,
) -> None:
    for name in ("a \N{MOUTH}", "b"):
        write_clip(tmp_path / f"{name}.wav", sound=tone(0.5))
    buffers = [io.BytesIO(), io.BytesIO()]
    for name, buffer in zip(("stdout", "stderr"), buffers, strict=True):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding=encoding))
    options = ["--json-lines"] if form == "lines" else ["-f", form]
    assert run(["transcribe", str(tmp_path), *options, "-m", str(tiny_folder)]) == 0
    sys.stdout.flush()
    printed = buffers[0].getvalue().decode(encoding)
    if form == "txt":
        assert printed.count("\n") == 2
        return
    values = [json.loads(line) for line in printed.splitlines()]
    files = {value["file"] for value in values}
    assert files == {str(tmp_path / "a \N{MOUTH}.wav"), str(tmp_path / "b.wav")}


def test_a_name_that_is_no_utf_8_in_a_file(tmp_path: Path, tiny_folder: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.wav"))
    write_clip(tmp_path / "plain.wav", sound=tone(0.5)).rename(path)
    out = tmp_path / "out"
    assert run(["transcribe", str(path), "-f", "all", "-o", str(out), "-m", str(tiny_folder)]) == 0
    (written,) = out.glob("*.json")
    assert json.loads(written.read_text())["file"].endswith("caf\\xe9.wav")


@pytest.mark.parametrize("command", ["evaluate", "prepare"])
def test_no_clip_that_can_be_read_is_a_failure(
    tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    manifest = tmp_path / "m.jsonl"
    lines = [{"id": name, "path": f"{name}.wav", "text": "bin blue"} for name in "ab"]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments: dict[str, Callable[[], list[str]]] = {
        "evaluate": lambda: ["--manifest", str(manifest), "--model", str(tiny_folder)],
        "prepare": lambda: [str(manifest), "-o", str(tmp_path / "out"), "--jobs", "1"],
    }
    assert run([command, *arguments[command]()]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("avsr: no clip could be read; the first reason: ")
    assert "a.wav: no such file" in last
    write_clip(tmp_path / "b.wav", sound=tone(0.5))
    assert run([command, *arguments[command]()]) == 0

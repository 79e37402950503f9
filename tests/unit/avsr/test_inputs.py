"""From names to files: folders, patterns, standard input."""

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from avsr.errors import InputError, UsageError
from avsr.inputs import expand_inputs, spooled
from tests.clips import write_clip
from tests.signals import portrait, tone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.MOV", "note.txt", ".hidden.mp4", "deep/c.wav", "deep/er/d.mkv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _names(*names: object, recursive: bool = False) -> list[str]:
    return [str(file.name) for file in expand_inputs([*map(str, names)], recursive=recursive)]


def test_folders(folder: Path) -> None:
    assert _names(folder) == ["a.MOV", "b.mp4"]
    assert _names(folder, recursive=True) == ["a.MOV", "b.mp4", "deep/c.wav", "deep/er/d.mkv"]
    assert [file.path for file in expand_inputs([str(folder / "deep")])] == [folder / "deep/c.wav"]


def test_patterns(folder: Path) -> None:
    assert _names(folder / "*.mp4") == ["b.mp4"]
    assert _names(folder / "**" / "*.w?v") == ["c.wav"]
    assert _names(folder / "d*") == ["c.wav"]  # a folder that fits is looked into
    (folder / "[x].mp4").touch()
    assert _names(folder / "[x].mp4") == ["[x].mp4"]  # a file of that very name comes first
    with pytest.raises(UsageError, match="no file fits this pattern"):
        expand_inputs([str(folder / "*.avi")])


def test_a_folder_goes_by_content_where_a_name_says_nothing(
    folder: Path, media: Path, tmp_path: Path
) -> None:
    for name in ("x.caf", "y.m4b", "z.f4v", "old.AIF"):
        (folder / name).touch()
    (folder / "no_ending").write_bytes((media / "av.mp4").read_bytes())
    write_clip(folder / "s.ts", [portrait()] * 3).rename(folder / "stream.dat")
    write_clip(folder / "s.wav", sound=tone(0.1)).rename(folder / "take.001")
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (folder / "GGGGG").write_bytes(b"G" * 100)
    (folder / "note.txt").write_text("RIFF is a word")
    assert _names(folder) == [
        "a.MOV", "b.mp4", "no_ending", "old.AIF", "stream.dat", "take.001", "x.caf", "y.m4b",
        "z.f4v",
    ]  # fmt: skip


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_without_media_says_what_it_holds(tmp_path: Path, recursive: bool) -> None:
    def problem() -> str | None:
        (file,) = expand_inputs([str(tmp_path)], recursive=recursive)
        return file.problem

    (tmp_path / "deep").mkdir()
    assert problem() == "is a folder without any file"
    for number in range(7):
        (tmp_path / "deep" / f"{number}.txt").touch()
    assert problem() == (
        "holds no media file at any depth, only deep/0.txt, deep/1.txt, deep/2.txt, deep/3.txt, "
        "deep/4.txt and 2 more"
    )
    (tmp_path / "deep" / "a.wav").touch()
    expected = "holds media files only in folders below it, such as deep/a.wav; search recursively"
    assert problem() == (None if recursive else expected)


@pytest.mark.parametrize("name", ["http://example.com/a.mp4", "rtsp://camera", "file:///a.mp4"])
def test_an_address_is_not_opened(name: str) -> None:
    with pytest.raises(UsageError, match="is an address, and nothing is fetched"):
        expand_inputs([name])


def test_nothing_is_read_twice_and_what_is_missing_is_passed_on(folder: Path) -> None:
    missing = folder / "missing.mp4"
    files = expand_inputs([str(folder / "b.mp4"), str(missing), str(folder), "-"])
    assert [file.path for file in files] == [
        folder / "b.mp4", missing, folder / "a.MOV", Path("-"),
    ]  # fmt: skip
    for twice in (["-", "-"], ["-", "/dev/stdin"]):
        with pytest.raises(UsageError, match="only once"):
            expand_inputs(twice)


def test_standard_input_becomes_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"RIFF")))
    with spooled(Path("-")) as path:
        assert path.read_bytes() == path.read_bytes() == b"RIFF"
    assert not path.exists()
    with spooled(Path("clip.mp4")) as path:
        assert path == Path("clip.mp4")


def test_a_pipe_becomes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)

    def write() -> None:
        pipe.write_bytes(bytes(300_000))

    writer = threading.Thread(target=write)
    writer.start()
    with spooled(pipe) as path:
        assert path.stat().st_size == 300_000
    writer.join()
    monkeypatch.setattr("avsr.inputs._WRITER_S", 0.1)
    with pytest.raises(InputError, match="to which nobody writes"), spooled(pipe):
        pass


def test_a_keyboard_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyboard(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard(io.BytesIO()))
    with pytest.raises(InputError, match="is the keyboard"), spooled(Path("-")):
        pass

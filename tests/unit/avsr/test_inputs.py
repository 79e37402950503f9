"""From names to files: folders, patterns, standard input."""

import io
import sys
from pathlib import Path

import pytest

from avsr.errors import UsageError
from avsr.inputs import expand_inputs, spooled


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


def test_nothing_is_read_twice_and_what_is_missing_is_passed_on(folder: Path) -> None:
    missing = folder / "missing.mp4"
    files = expand_inputs([str(folder / "b.mp4"), str(missing), str(folder), "-"])
    assert [file.path for file in files] == [
        folder / "b.mp4", missing, folder / "a.MOV", Path("-"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="only once"):
        expand_inputs(["-", "-"])


def test_standard_input_becomes_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"RIFF")))
    with spooled(Path("-")) as path:
        assert path.read_bytes() == path.read_bytes() == b"RIFF"
    assert not path.exists()
    with spooled(Path("clip.mp4")) as path:
        assert path == Path("clip.mp4")

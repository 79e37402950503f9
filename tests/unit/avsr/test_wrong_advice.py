"""What cannot be done is told in one line that says what is the matter."""

import io
import sys
from pathlib import Path

import pytest

from avsr.cli import run
from tests.shared_inputs import shared_input


@pytest.fixture
def told(tiny_folder: Path, capsys: pytest.CaptureFixture[str]):
    """Runs ``avsr transcribe``; gives the exit code and the one line."""

    def call(*arguments: object) -> tuple[int, str]:
        code = run(["transcribe", "--model", str(tiny_folder), *map(str, arguments)])
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        return code, line

    return call


def test_a_start_after_the_end(told, media: Path) -> None:
    for name in ("av.mp4", "sound.wav", "mute.mp4"):
        code, line = told(media / name, "--start", 50)
        assert code == 1
        assert f"avsr: {media / name}: ends before the start that was asked for (50 s)" in line
        assert "it is 1." in line


def test_a_face_that_is_not_there(told, media: Path) -> None:
    assert told(media / "av.mp4", "--face", 9) == (
        1,
        f"avsr: {media / 'av.mp4'}: shows 1 face, there is no face 9; choose among them",
    )


def test_an_address(told) -> None:
    code, line = told("https://example.com/film.mp4")
    assert code == 2
    assert line.startswith("avsr: https://example.com/film.mp4: is an address")


def test_an_encrypted_file(told) -> None:
    code, line = told(shared_input("drm.mp4"))
    assert (code, line.endswith("drm.mp4: is encrypted (DRM); give a copy that is not")) == (
        1,
        True,
    )


def test_a_playlist(told, tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\nav.mp4\n")
    assert told(path) == (
        1,
        f"avsr: {path}: is a playlist, which holds no sound; name the files in it",
    )


def test_standard_input_twice(told) -> None:
    code, line = told("-", "-")
    assert (code, "name it once" in line) == (2, True)


def test_a_folder_as_manifest(
    tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "--manifest", str(tmp_path), "--model", str(tiny_folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    advice = "name the manifest in it, or give --data DIR. See avsr evaluate --help."
    assert line == f"avsr: {tmp_path}: is a folder; {advice}"


def test_a_folder_without_media(told, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    code, line = told(tmp_path, "--recursive")
    assert code == 1
    assert line == f"avsr: {tmp_path}: holds no media file at any depth, only notes.txt"


def test_shared_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A colon in a relative name, endings that a folder dropped, and a pipe, read rightly."""
    clip = shared_input("2024-08-20T13:28:35Z.mp4")
    monkeypatch.chdir(clip.parent)
    options = ["-q", "--modality", "audio", "--device", "cpu"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(clip.read_bytes())))
    assert run(["transcribe", clip.name, "ext", "-", *options]) == 0
    assert capsys.readouterr().out == "set blue with t one please\n" * 5

"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from avsr.atomic import (
    atomic_file,
    is_unfinished,
    remove_unfinished,
    write_text_atomically,
)


def test_replaces_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old\n")
    write_text_atomically(path, "grün\n")
    assert path.read_bytes() == "grün\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_keeps_the_old_content_when_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")

    def half() -> None:
        with atomic_file(path) as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text_atomically(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text_atomically(tmp_path / "none" / "a.txt", "x")


def test_only_what_was_being_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    foreign = [tmp_path / ".gitignore", tmp_path / "below" / ".avsr-notes", tmp_path / "a.part"]
    for path in foreign:
        path.touch()
    started: list[Path] = []
    with atomic_file(tmp_path / "below" / "a.txt"):
        started += [path for path in (tmp_path / "below").iterdir() if path not in foreign]
    (tmp_path / "below" / "a.txt").unlink()
    (unfinished,) = started
    assert is_unfinished(unfinished)
    unfinished.touch()  # as a killed run leaves it
    remove_unfinished(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(foreign)


def test_a_name_of_any_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_text_atomically(path, "x\udce9")
    assert path.read_text() == "x\\udce9"

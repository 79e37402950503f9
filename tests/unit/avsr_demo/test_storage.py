"""Files of visitors."""

from pathlib import Path

import pytest

from avsr_demo.storage import Storage


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = Storage()
    yield made
    made.close()


def _upload(storage: Storage, name: str) -> Path:
    path = storage.root / name
    path.write_bytes(b"video")
    return path


def test_a_new_upload_replaces_the_old_one_and_its_results(storage: Storage) -> None:
    first, second = _upload(storage, "first.mp4"), _upload(storage, "second.mp4")
    storage.hold("visitor", first)
    results = storage.new_results("visitor")
    (results / "film.mp4").write_bytes(b"film")

    storage.hold("visitor", second)

    assert not first.exists()
    assert not results.exists()
    assert second.exists()


def test_an_upload_that_another_session_uses_stays(storage: Storage) -> None:
    shared = _upload(storage, "shared.mp4")
    storage.hold("one", shared)
    storage.hold("two", shared)

    storage.release("one")
    assert shared.exists()
    storage.release("two")
    assert not shared.exists()


def test_sessions_have_folders_of_their_own(storage: Storage) -> None:
    one, two = storage.new_results("one"), storage.new_results("two")
    storage.release("one")

    assert not one.exists()
    assert two.is_dir()


def test_files_outside_are_never_deleted(storage: Storage, tmp_path: Path) -> None:
    outside = tmp_path / "mine.mp4"
    outside.write_bytes(b"mine")
    storage.hold("visitor", outside)
    storage.release("visitor")

    assert outside.exists()


def test_close_leaves_nothing(storage: Storage) -> None:
    _upload(storage, "left.mp4")
    storage.new_results("visitor")
    storage.close()

    assert not storage.root.exists()

"""Reading the first file while the model is loaded: the same words, and nothing left behind."""

import gc
import threading
from pathlib import Path
from typing import Any

import pytest

from avsr.cli import run
from avsr.clips.sources import Source
from avsr.commands.early_start import begin_early
from avsr.commands.quick_start import without_collection
from avsr.commands.results import ResultFiles
from avsr.inputs import InputFile
from avsr.recognition.request import Request
from avsr.recognizer import Recognizer, load
from tests.unit.avsr.test_imports import modules_after


@pytest.fixture
def recognizer(tiny_folder: Path) -> Recognizer:
    return load(tiny_folder, "cpu")


def _begin(path: Path, request: Request | None = None, **where: Any) -> Source | None:
    file = InputFile(path=path, name=Path(path.name))
    return begin_early(file, ResultFiles(paths={}, **where), request or Request())


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read ahead"]


@pytest.mark.parametrize("name", ["av.mp4", "mute.mp4", "sound.wav"])
def test_what_was_begun_is_read_to_the_same_words(
    recognizer: Recognizer, media: Path, name: str
) -> None:
    request = Request(keep_unsure=True)
    begun = _begin(media / name, request)
    assert begun is not None
    early, late = (recognizer.transcribe(one, request) for one in (begun, media / name))
    assert early.text
    assert (early.text, early.segments, early.face) == (late.text, late.segments, late.face)
    assert early.path == late.path
    assert {"decode", "encoders"} <= early.timings.keys()
    assert not _readers()


def test_what_was_begun_in_another_way_is_begun_again(recognizer: Recognizer, media: Path) -> None:
    begun = _begin(media / "av.mp4")
    assert begun is not None
    result = recognizer.transcribe(begun, modality="audio", keep_unsure=True)
    assert (result.modality, result.face) == ("audio", None)
    assert not _readers()


def test_what_is_not_read_is_closed(media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["transcribe", str(media / "av.mp4"), "--model", "nonesuch"]) == 3
    assert "no such model" in capsys.readouterr().err
    assert not _readers()


def test_a_stretch_that_is_not_wanted_ends_at_once(media: Path) -> None:
    begun = _begin(media / "av.mp4")
    assert begun is not None
    begun.close()
    assert not _readers()
    assert sum(clip.duration_s for clip, _ in begun.clips()) == 0


def test_some_inputs_must_wait_for_the_model(media: Path, tmp_path: Path) -> None:
    there = tmp_path / "partial"
    there.touch()
    assert _begin(tmp_path / "none.mp4") is None
    assert _begin(media / "av.mp4", partial=there) is None
    assert _begin(media / "av.mp4", lips=tmp_path / "lips") is None


def test_a_damaged_file_is_told_as_ever(
    tiny_folder: Path, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes((media / "av.mp4").read_bytes()[:900])
    whole = str(media / "sound.wav")
    assert run(["transcribe", str(damaged), whole, "--model", str(tiny_folder)]) == 1
    assert f"avsr: {damaged}: " in capsys.readouterr().err
    assert not _readers()


def test_reading_imports_nothing_while_the_model_does() -> None:
    """Imports in two threads at once may see modules that are half there."""
    code = """
from pathlib import Path
from typing import Any
from avsr.commands.quick_start import import_sparingly
import_sparingly()
from avsr.commands.early_start import begin_early
from avsr.commands.quick_start import without_collection
from avsr.commands.results import ResultFiles
from avsr.inputs import InputFile
from avsr.recognition.request import Request
file = InputFile(path=Path("demo/samples/clean.mp4"), name="clean")
begun = begin_early(file, ResultFiles(paths={}), Request())
before = set(sys.modules)
((clip, _),) = begun.clips()
assert clip.mouth is not None
late = set(sys.modules) - before
assert not late, late
assert "transformers" not in sys.modules
"""
    assert "mediapipe" in modules_after(code)


def test_garbage_is_looked_for_again_once_all_is_loaded() -> None:
    assert gc.isenabled()
    try:
        with without_collection():
            assert not gc.isenabled()
        assert gc.isenabled()
    finally:
        gc.unfreeze()

"""The model that is used where none is named, and ``avsr doctor``."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from avsr import doctor
from avsr.cli import run
from avsr.model_files.store import converted_folder, default_model, find_model
from avsr.pretrained import load_model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No choice and no models of the person who runs the tests; one model comes with the package.

    What is new where there are two is in ``test_english_default.py``.
    """
    monkeypatch.setenv("AVSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVSR_CONFIG", str(tmp_path / "config"))
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled" / "grid-tiny").symlink_to(find_model("grid-tiny").folder)
    monkeypatch.setattr("avsr.model_files.bundled.BUNDLED_FOLDER", tmp_path / "bundled")
    return tmp_path


def test_a_converted_model_wins_over_the_bundled_one(tiny_folder: Path) -> None:
    assert default_model().name == "grid-tiny"
    target = converted_folder("omni-avsr-st")
    target.parent.mkdir(parents=True)
    shutil.copytree(tiny_folder, target)
    assert default_model().name == str(target)
    assert load_model("auto", "cpu").name == "omni-avsr-st"


def test_a_choice_wins_until_it_is_opened_again(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "default", str(tiny_folder)]) == 0
    assert capsys.readouterr().out == f"{tiny_folder}\n"
    assert load_model("auto", "cpu").name == tiny_folder.name
    assert run(["models", "default", "auto"]) == 0
    assert run(["models", "default"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "grid-tiny\ngrid-tiny\n"
    assert "comes with this package" in captured.err


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("omni-avsr-st", 3, "run avsr models download omni-avsr-st"),
        ("nonesuch", 2, "nonesuch: is no model"),
    ],
)
def test_what_cannot_be_loaded_is_no_default(
    name: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "default", name]) == code
    assert message in capsys.readouterr().err
    assert default_model().name == "grid-tiny"


def test_the_environment_gives_defaults(
    tiny_folder: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVSR_MODEL", str(tiny_folder))
    monkeypatch.setenv("AVSR_TRANSCRIBE_AUDIO_RATE", "5")
    monkeypatch.setenv("AVSR_VERSION", "0.1.0")  # what build systems may call something else
    assert run(["transcribe", str(media / "sound.wav")]) == 2  # no such rate
    monkeypatch.setenv("AVSR_TRANSCRIBE_AUDIO_RATE", "16")
    assert run(["transcribe", str(media / "sound.wav")]) == 0


def test_completion_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AVSR_COMPLETE", "source_bash")
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    assert "complete" in capsys.readouterr().out


def _about(out: str) -> set[str]:
    assert all(line.startswith("ok ") for line in out.splitlines())
    return {line[7:24].strip() for line in out.splitlines()}


def test_doctor_looks_without_loading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("_devices", "_face_models", "_voice_detector", "_bundled_model"):
        monkeypatch.setattr(doctor, name, lambda: pytest.fail("loads"))
    assert run(["doctor"]) == 0
    captured = capsys.readouterr()
    assert {"python", "torch", "mediapipe", "system libraries"} <= _about(captured.out)
    assert "--load" in captured.err


def test_doctor_loads_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--load"]) == 0
    captured = capsys.readouterr()
    found = _about(captured.out)
    assert {"torch", "device", "face models", "voice detector", "bundled model"} <= found
    assert captured.err == ""


def test_doctor_tells_the_threads_that_work_would_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The voice detector's package sets one thread for the process when it is imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == "silero_vad"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("_face_models", "_voice_detector", "_bundled_model"):
        monkeypatch.setattr(doctor, name, lambda: "left out here")
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert run(["doctor", "--load"]) == 0
    finally:
        torch.set_num_threads(before)
    assert f"cpu ({before + 1} threads on " in capsys.readouterr().out


def test_doctor_tells_what_is_broken(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_library() -> str:
        raise ImportError("libGL.so.1: cannot open shared object file")

    (home / "file").write_text("no folder")
    monkeypatch.setenv("AVSR_CACHE", str(home / "file"))
    monkeypatch.setattr(doctor, "_system_libraries", no_library)
    monkeypatch.setitem(doctor._PACKAGES, "no-such-package", "json")
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "BROKEN system libraries ImportError: libGL.so.1" in out
    assert "libgl1" in out
    assert "BROKEN models" in out
    assert "BROKEN no-such-package  PackageNotFoundError" in out

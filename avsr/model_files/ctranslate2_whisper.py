"""Whisper out of a CTranslate2 file, as faster-whisper's packages carry it."""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_NORMS = {"gamma": "weight", "beta": "bias"}


def read_variables(file: Path) -> dict[str, Tensor]:
    """Read all variables of a CTranslate2 model file (binary version 6).

    Raises:
        ValueError: the file is no such file, or one whose parts are quantised to other types.
    """
    with open(file, "rb") as stream:
        version, spec = _number(stream, "<I"), _name(stream)
        if version != 6 or spec != "WhisperSpec":
            raise ValueError(f"{file} is no CTranslate2 file of Whisper: give model.bin")
        _number(stream, "<I")  # revision of the specification
        variables = {}
        for _ in range(_number(stream, "<I")):
            name, rank = _name(stream), _number(stream, "<B")
            shape = [_number(stream, "<I") for _ in range(rank)]
            dtype = _DTYPES.get(_number(stream, "<B"))
            data = stream.read(_number(stream, "<I"))
            if dtype is None:
                raise ValueError(f"{file} stores {name} in a type that is not known")
            variables[name] = torch.from_numpy(np.frombuffer(data, dtype).reshape(shape).copy())
    return variables


def load_whisper(file: Path) -> WhisperForConditionalGeneration:
    """Build transformers' Whisper in float32 from a CTranslate2 model file.

    Raises:
        ValueError: the file is no such file, or its variables do not fit.
    """
    variables = read_variables(file)
    config = _config(variables)
    model = WhisperForConditionalGeneration(config)
    state = _encoder(variables, config) | _decoder(variables, config)
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model.eval()


def _config(variables: dict[str, Tensor]) -> WhisperConfig:
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    layers = {
        side: sum(f"{side}/layer_{i}/ffn/layer_norm/gamma" in variables for i in range(64))
        for side in ("encoder", "decoder")
    }
    english_only = vocabulary == 51864
    end = 50256 if english_only else 50257
    return WhisperConfig(
        vocab_size=vocabulary,
        num_mel_bins=variables["encoder/conv1/weight"].shape[1],
        d_model=width,
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        encoder_attention_heads=int(variables["encoder/num_heads"]),
        decoder_attention_heads=int(variables["decoder/num_heads"]),
        encoder_ffn_dim=variables["encoder/layer_0/ffn/linear_0/bias"].shape[0],
        decoder_ffn_dim=variables["decoder/layer_0/ffn/linear_0/bias"].shape[0],
        max_target_positions=variables["decoder/position_encodings/encodings"].shape[0],
        max_source_positions=variables["encoder/position_encodings/encodings"].shape[0],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end + 1,
        begin_suppress_tokens=[220, end],
        suppress_tokens=[],
    )


def _encoder(variables: dict[str, Tensor], config: WhisperConfig) -> dict[str, Tensor]:
    state = {
        f"model.encoder.{conv}.{kind}": variables[f"encoder/{conv}/{kind}"]
        for conv in ("conv1", "conv2")
        for kind in ("weight", "bias")
    }
    state["model.encoder.embed_positions.weight"] = variables[
        "encoder/position_encodings/encodings"
    ]
    state |= _norm(variables, "encoder/layer_norm", "model.encoder.layer_norm")
    for index in range(config.encoder_layers):
        source, target = f"encoder/layer_{index}", f"model.encoder.layers.{index}"
        state |= _self_attention(variables, source, target) | _feed_forward(
            variables, source, target
        )
    return state


def _decoder(variables: dict[str, Tensor], config: WhisperConfig) -> dict[str, Tensor]:
    state = {
        "model.decoder.embed_tokens.weight": variables["decoder/embeddings/weight"],
        "model.decoder.embed_positions.weight": variables["decoder/position_encodings/encodings"],
    } | _norm(variables, "decoder/layer_norm", "model.decoder.layer_norm")
    for index in range(config.decoder_layers):
        source, target = f"decoder/layer_{index}", f"model.decoder.layers.{index}"
        state |= _self_attention(variables, source, target)
        state |= _cross_attention(variables, source, target)
        state |= _feed_forward(variables, source, target)
    return state


def _self_attention(variables: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    source, norm = f"{source}/self_attention", f"{target}.self_attn_layer_norm"
    weights = variables[f"{source}/linear_0/weight"].chunk(3)
    biases = variables[f"{source}/linear_0/bias"].chunk(3)
    state = _norm(variables, f"{source}/layer_norm", norm)
    for name, weight, bias in zip("qkv", weights, biases, strict=True):
        state |= _projection(f"{target}.self_attn.{name}_proj", weight, bias)
    return state | _linear(variables, f"{source}/linear_1", f"{target}.self_attn.out_proj")


def _cross_attention(variables: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    source, norm = f"{source}/attention", f"{target}.encoder_attn_layer_norm"
    weights = variables[f"{source}/linear_1/weight"].chunk(2)
    biases = variables[f"{source}/linear_1/bias"].chunk(2)
    state = _norm(variables, f"{source}/layer_norm", norm)
    state |= _linear(variables, f"{source}/linear_0", f"{target}.encoder_attn.q_proj")
    for name, weight, bias in zip("kv", weights, biases, strict=True):
        state |= _projection(f"{target}.encoder_attn.{name}_proj", weight, bias)
    return state | _linear(variables, f"{source}/linear_2", f"{target}.encoder_attn.out_proj")


def _feed_forward(variables: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    return (
        _norm(variables, f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")
        | _linear(variables, f"{source}/ffn/linear_0", f"{target}.fc1")
        | _linear(variables, f"{source}/ffn/linear_1", f"{target}.fc2")
    )


def _norm(variables: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    return {f"{target}.{ours}": variables[f"{source}/{theirs}"] for theirs, ours in _NORMS.items()}


def _linear(variables: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    return {f"{target}.{kind}": variables[f"{source}/{kind}"] for kind in ("weight", "bias")}


def _projection(target: str, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    state = {f"{target}.weight": weight}
    return state if target.endswith("k_proj") else state | {f"{target}.bias": bias}


def _number(stream: BinaryIO, code: str) -> int:
    return struct.unpack(code, stream.read(struct.calcsize(code)))[0]


def _name(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "<H"))[:-1].decode()

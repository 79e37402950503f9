"""AV-HuBERT files of fairseq: their sizes, their settings, and a folder that our encoder loads."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from transformers.initialization import no_init_weights

from avsr.conversion.keys import is_unused, leftover_names
from avsr.conversion.layout import checkpoint_tensors, name_some
from avsr.conversion.pickles import Opaque, StoredTensor, read_torch_file
from avsr.conversion.streaming import streamed
from avsr.errors import InputError
from avsr.model_files.tensor_writer import StreamedTensor, write_safetensors
from avsr.model_files.weights import WEIGHTS_FILE, state_names
from avsr_frontends.avhubert import AvHubertConfig, AvHubertEncoder

FINE_TUNED_PREFIX = "encoder.w2v_model."  # of fairseq's sequence-to-sequence models
_HEAD_SIZE = 64  # of every published AV-HuBERT
_MARK = "feature_extractor_video.resnet.frontend3D.0.weight"


@dataclass(frozen=True, kw_only=True)
class AvHubertFile:
    """What an AV-HuBERT file says.

    Attributes:
        tensors: of the encoder, by their fairseq names; anything with a ``shape``.
        settings: fairseq's options of the model; empty where the file has none.
    """

    tensors: Mapping[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


def is_avhubert_file(path: Path) -> bool:
    """Whether a checkpoint is an AV-HuBERT of fairseq, pre-trained or fine-tuned.

    Raises:
        InputError: it is no checkpoint at all.
    """
    return _is_avhubert(checkpoint_tensors(read_torch_file(path), path))


def read_avhubert_file(path: Path) -> AvHubertFile:
    """Read a fairseq file, pre-trained or fine-tuned, without its weights.

    Raises:
        InputError: it is no AV-HuBERT file.
    """
    contents = read_torch_file(path)
    tensors = checkpoint_tensors(contents, path)
    if not _is_avhubert(tensors):
        raise InputError(f"{path}: is no AV-HuBERT file: {_MARK} is missing")
    if _MARK not in tensors:
        tensors = {
            name.removeprefix(FINE_TUNED_PREFIX): tensor
            for name, tensor in tensors.items()
            if name.startswith(FINE_TUNED_PREFIX)
        }
    return AvHubertFile(tensors=tensors, settings=_settings(contents))


def read_base_encoder(source: Path) -> AvHubertFile:
    """Read the base video encoder: a fairseq file, or a folder that :func:`convert_avhubert` wrote.

    Raises:
        InputError: it is neither.
    """
    if not source.is_dir():
        return read_avhubert_file(source)
    try:
        config = AvHubertConfig.from_pretrained(source)
    except OSError as error:
        raise InputError(f"{source}: holds no AV-HuBERT config.json") from error
    with init_empty_weights(include_buffers=False), no_init_weights():
        tensors = state_names(AvHubertEncoder(config))
    settings = {
        "encoder_attention_heads": config.num_attention_heads,
        "layer_norm_first": config.layer_norm_first,
    }
    return AvHubertFile(tensors=tensors, settings=settings)


def build_video_config(
    tensors: Mapping[str, StoredTensor], settings: Mapping[str, Any], path: Path
) -> tuple[AvHubertConfig, list[str]]:
    """Size an encoder by its weights.

    Args:
        tensors: by fairseq names, with or without the LoRA of Llama-AVSR.
        settings: fairseq's options, for the head count and the place of the norms, which weights
            do not show.
        path: of the file, for messages.

    Returns:
        The configuration, and notes on what had to be assumed.

    Raises:
        InputError: a variant that is not supported, or an essential tensor is missing.
    """

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise InputError(f"{path}: {name} of AV-HuBERT is missing")
        return tensors[name].shape

    width = shape("encoder.layer_norm.weight")[0]
    fusion = shape("post_extract_proj.weight")
    if fusion != (width, 2 * width):
        raise InputError(
            f"{path}: post_extract_proj.weight of AV-HuBERT is {list(fusion)}, expected "
            f"{[width, 2 * width]}: only fusion by concatenation is supported"
        )
    resnet = "feature_extractor_video.resnet."
    stages = _highest(tensors, rf"{re.escape(resnet)}trunk\.layer(\d+)\.")
    blocks = [
        _highest(tensors, rf"{re.escape(resnet)}trunk\.layer{stage}\.(\d+)\.") + 1
        for stage in range(1, stages + 1)
    ]
    channels = [shape(f"{resnet}trunk.layer{n}.0.conv2.weight")[0] for n in range(1, stages + 1)]
    _, group_width, kernel = shape("encoder.pos_conv.0.weight_v")
    lora = "encoder.layers.0.self_attn.lora_down_Q.weight"
    heads, layer_norm_first, notes = _hidden_settings(settings, width, path)
    config = AvHubertConfig(
        hidden_size=width,
        num_hidden_layers=_highest(tensors, r"encoder\.layers\.(\d+)\.") + 1,
        num_attention_heads=heads,
        intermediate_size=shape("encoder.layers.0.fc1.weight")[0],
        layer_norm_first=layer_norm_first,
        positional_conv_kernel=kernel,
        positional_conv_groups=width // group_width,
        resnet_channels=[shape(f"{resnet}frontend3D.0.weight")[0], *channels],
        resnet_blocks=blocks,
        resnet_activation="prelu" if f"{resnet}frontend3D.2.weight" in tensors else "relu",
        audio_feature_size=shape("feature_extractor_audio.proj.weight")[1],
        lora_bottleneck=shape(lora)[0] if lora in tensors else 0,
    )
    return config, notes


def convert_avhubert(path: Path, output: Path) -> list[str]:
    """Write an AV-HuBERT file as a folder that ``AvHubertEncoder.from_pretrained`` takes.

    Args:
        path: a fairseq file, pre-trained or fine-tuned (of which the decoder is left out).
        output: existing folder.

    Returns:
        Notes on what had to be assumed.

    Raises:
        InputError: it cannot be converted; nothing is written.
    """
    file = read_avhubert_file(path)
    config, notes = build_video_config(file.tensors, file.settings, path)
    with init_empty_weights(include_buffers=False), no_init_weights():
        expected = state_names(AvHubertEncoder(config))
    leftover = leftover_names(file.tensors, expected)
    if leftover:
        raise InputError(f"{path}: has tensors of another kind of AV-HuBERT: {name_some(leftover)}")
    entries: list[StreamedTensor] = []
    for name, tensor in expected.items():
        stored = file.tensors.get(name)
        if stored is None or stored.shape != tuple(tensor.shape):
            found = "missing" if stored is None else f"{list(stored.shape)}"
            raise InputError(f"{path}: {name} is {found}, expected {list(tensor.shape)}")
        entries.append(streamed(name, name, stored, None, path))
    config.architectures = [AvHubertEncoder.__name__]
    config.dtype = next(e.dtype for e in entries if e.dtype.is_floating_point)
    write_safetensors(output / WEIGHTS_FILE, entries)
    config.save_pretrained(output)
    return notes


def check_same_encoder(
    tensors: Mapping[str, StoredTensor], base: AvHubertFile, source: Path
) -> str:
    """Compare the encoder in a checkpoint with the base encoder that the user gave.

    Returns:
        What differs first, or an empty string.
    """
    for name, expected in base.tensors.items():
        ours = tensors.get(name)
        if is_unused(name):
            continue
        if ours is None:
            return f"video_encoder.{name} is missing, but {source} has it"
        if ours.shape != tuple(expected.shape):
            return (
                f"video_encoder.{name} is {list(ours.shape)}, but {source} has "
                f"{list(expected.shape)}"
            )
    return ""


def _is_avhubert(tensors: Mapping[str, StoredTensor]) -> bool:
    return _MARK in tensors or FINE_TUNED_PREFIX + _MARK in tensors


def _highest(names: Mapping[str, object], pattern: str) -> int:
    matches = (re.match(pattern, name) for name in names)
    return max((int(match[1]) for match in matches if match), default=-1)


def _settings(contents: Any) -> dict[str, Any]:
    """fairseq's options of the pre-trained model, wherever the version at hand keeps them."""
    config = _as_dict(contents.get("cfg"))
    model = _as_dict(config.get("model")) or _as_dict(contents.get("args"))
    inner = _as_dict(model.get("w2v_args"))  # a fine-tuned model carries the pre-trained one's
    return _as_dict(inner.get("model")) or inner or model


def _as_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, Opaque):
        value = value.state
    return value if isinstance(value, dict) else {}


def _hidden_settings(
    settings: Mapping[str, Any], width: int, path: Path
) -> tuple[int, bool, list[str]]:
    """Head count and place of the norms, which weights do not show."""
    notes = []
    heads = settings.get("encoder_attention_heads")
    if heads is None:
        if width % _HEAD_SIZE:
            raise InputError(
                f"{path}: the head count of an AV-HuBERT of width {width} is unknown; give the "
                "AV-HuBERT file that it comes from",
                settings=("video_encoder",),
            )
        heads = width // _HEAD_SIZE
        notes.append(f"AV-HuBERT: assumed {heads} heads and norms first, as in all published files")
    if width % heads:
        raise InputError(f"{path}: AV-HuBERT of width {width} cannot have {heads} heads")
    return int(heads), bool(settings.get("layer_norm_first", True)), notes

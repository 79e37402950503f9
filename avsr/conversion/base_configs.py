"""What a conversion takes from base models: their configurations and the tokenizer, no weights."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from transformers import (
    AutoConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    WhisperConfig,
)

from avsr.conversion.pickles import StoredTensor
from avsr.errors import InputError, ModelUnavailableError, one_line
from avsr.tokenizer import load_tokenizer

_HEAD_SIZE = 64  # of every published Whisper
_Read = TypeVar("_Read")


def read_text_config(source: str | Path, *, local_files_only: bool) -> PreTrainedConfig:
    """Configuration of the base language model.

    Raises:
        ModelUnavailableError: it is not there.
        InputError: it is no causal language model.
    """
    config = _fetch(AutoConfig.from_pretrained, "language_model", source, local_files_only)
    config.name_or_path = ""  # a place on the machine that converts: of no use elsewhere
    if config.is_encoder_decoder or getattr(config, "num_key_value_heads", None) is None:
        raise InputError(
            f"{source}: is a {config.model_type} model; give the folder of the Llama or Qwen "
            "language model that the checkpoint was trained with",
            settings=("language_model",),
        )
    return config


def read_tokenizer(
    source: str | Path, n_vocabulary: int, *, local_files_only: bool
) -> PreTrainedTokenizerBase:
    """Tokenizer of the base language model, as it was before tokens were added.

    A copy of a base model may define a padding token that the trained-with one lacked. The rows of
    the checkpoint's embedding tell: with five more than the base vocabulary, ``<pad>`` was added.

    Args:
        source: folder or hub id.
        n_vocabulary: rows of the checkpoint's embedding.
        local_files_only: use no network.

    Raises:
        ModelUnavailableError: it is not there.
    """
    tokenizer = _fetch(load_tokenizer, "language_model", source, local_files_only)
    if tokenizer.pad_token is not None and n_vocabulary == len(tokenizer) + 5:
        tokenizer.pad_token = None
    return tokenizer


def read_audio_config(source: str | Path, *, local_files_only: bool) -> WhisperConfig:
    """Configuration of the base Whisper.

    Raises:
        ModelUnavailableError: it is not there.
        InputError: it is no Whisper.
    """
    config = _fetch(AutoConfig.from_pretrained, "audio_encoder", source, local_files_only)
    config.name_or_path = ""
    if not isinstance(config, WhisperConfig):
        message = f"{source}: is a {config.model_type}, not a whisper model"
        raise InputError(message, settings=("audio_encoder",))
    return config


def guess_audio_config(tensors: Mapping[str, StoredTensor], path: Path) -> WhisperConfig:
    """Size a Whisper encoder by its weights, with the heads of the published ones.

    Args:
        tensors: of the encoder, without prefix.
        path: of the checkpoint, for messages.

    Raises:
        InputError: its width shows that it is no published Whisper.
    """
    width, n_mels, _ = tensors["conv1.weight"].shape
    if width % _HEAD_SIZE:
        raise InputError(
            f"{path}: the head count of a Whisper of width {width} is unknown; give its folder",
            settings=("audio_encoder",),
        )
    n_positions = tensors["embed_positions.weight"].shape[0]
    layers = {name.split(".")[1] for name in tensors if name.startswith("layers.")}
    return WhisperConfig(
        d_model=width,
        encoder_layers=len(layers),
        encoder_attention_heads=width // _HEAD_SIZE,
        encoder_ffn_dim=tensors["layers.0.fc1.weight"].shape[0],
        num_mel_bins=n_mels,
        max_source_positions=n_positions,
    )


def _fetch(
    read: Callable[..., _Read], setting: str, source: str | Path, local_files_only: bool
) -> _Read:
    """Read one thing of a base model, its troubles turned into one line."""
    folder = Path(source)
    if not folder.is_dir() and len(folder.parts) != 2:
        raise ModelUnavailableError(
            f"{source}: no such folder; give a folder or a hub id owner/name",
            settings=(setting,),
        )
    try:
        with _quiet():
            return read(str(source), local_files_only=local_files_only)
    except Exception as error:
        if "gated" in str(error):
            raise ModelUnavailableError(
                f"{source}: is gated; ask for access on its page of the Hugging Face hub, then run "
                "hf auth login and repeat",
                settings=(setting,),
            ) from error
        raise ModelUnavailableError(
            f"{source}: cannot be read ({one_line(error)[:200]})", settings=(setting,)
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Keep transformers from commenting on tokenizers of older versions."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

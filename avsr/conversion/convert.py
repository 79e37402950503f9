"""From a published checkpoint file to a model folder."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import init_empty_weights
from transformers import PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from avsr.config import AvsrConfig
from avsr.conversion.keys import EMBEDDING, OUTPUT_LAYER, leftover_names, published_name
from avsr.conversion.layout import Tensors, checkpoint_tensors, name_some, read_layout
from avsr.conversion.model_config import ConversionOptions, build_config
from avsr.conversion.pickles import read_torch_file
from avsr.conversion.streaming import streamed
from avsr.errors import InputError, UsageError
from avsr.model import AvsrForConditionalGeneration
from avsr.model_files.tensor_writer import StreamedTensor, write_safetensors
from avsr.model_files.weights import WEIGHTS_FILE, state_names
from avsr.processing import AvsrProcessor
from avsr.progress import Progress

ORIGIN_FILE = "conversion.json"


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What is made of a checkpoint, all that can be checked being checked.

    Attributes:
        path: of the checkpoint.
        config: of the new model.
        tokenizer: with the added tokens.
        entries: the weights, read when they are written, one at a time.
        notes: what had to be assumed, one line each.
    """

    path: Path
    config: AvsrConfig
    tokenizer: PreTrainedTokenizerBase
    entries: list[StreamedTensor]
    notes: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the weights."""
        return sum(entry.n_bytes for entry in self.entries)

    def write(self, output: Path, progress: Progress | None = None) -> None:
        """Make a self-contained model folder.

        Args:
            output: existing folder.
            progress: told of the megabytes written.

        Raises:
            InputError: weights that are not finite, or too large for their type.
            UsageError: the disk is too small.
        """
        free = shutil.disk_usage(output).free
        if free < self.n_bytes:
            raise UsageError(
                f"{output}: the model needs {self.n_bytes >> 20} MB but {free >> 20} MB are free"
            )
        write_safetensors(output / WEIGHTS_FILE, self.entries, progress)
        self.config.architectures = [AvsrForConditionalGeneration.__name__]
        self.config.save_pretrained(output)
        AvsrProcessor.from_config(self.config, self.tokenizer).save_pretrained(output)
        size = self.path.stat().st_size
        origin = {"checkpoint": self.path.name, "bytes": size, "assumed": self.notes}
        (output / ORIGIN_FILE).write_text(json.dumps(origin, indent=2) + "\n")


def plan_conversion(path: Path, options: ConversionOptions) -> Conversion:
    """Decide what a published checkpoint becomes, without writing anything.

    All weights come from the checkpoint, the base models give configurations and the tokenizer.

    Args:
        path: a ``.pth`` or ``.ckpt`` file of Llama-AVSR, Llama-MTSK, Llama-MT or Omni-AVSR.
        options: what the checkpoint does not say.

    Raises:
        InputError: the file cannot be converted, in one line.
        ModelUnavailableError: a base model is not there.
        SeveralErrors: more than one thing is missing or does not fit.
    """
    tensors = checkpoint_tensors(read_torch_file(path), path)
    try:
        config, tokenizer, notes = build_config(tensors, read_layout(tensors, path), options, path)
        entries = _match_tensors(tensors, config, options, path)
    except ValueError as error:  # a combination that no configuration allows
        raise InputError(f"{path}: {error}") from error
    except KeyError as error:
        raise InputError(f"{path}: {error.args[0]} is missing; get the whole file") from error
    return Conversion(
        path=path, config=config, tokenizer=tokenizer, entries=entries, notes=tuple(notes)
    )


def _match_tensors(
    tensors: Tensors, config: AvsrConfig, options: ConversionOptions, path: Path
) -> list[StreamedTensor]:
    """Find every tensor of the model in the checkpoint, and none besides."""
    with init_empty_weights(include_buffers=False), no_init_weights():
        model = AvsrForConditionalGeneration(config)
    model.language_model.tie_weights()  # pyright: ignore[reportCallIssue]
    entries: list[StreamedTensor] = []
    used: set[str] = set()
    missing: list[str] = []
    for name, tensor in state_names(model).items():
        source = published_name(name, config)
        stored = tensors.get(source)
        used.add(source)
        if stored is None and tensor.numel() == 0:  # a prompt of a task that was not trained
            entries.append(_empty(name, tuple(tensor.shape), config.dtype))  # pyright: ignore
        elif stored is None:
            missing.append(source)
        elif stored.shape != tuple(tensor.shape):
            raise InputError(
                f"{path}: {source} is {list(stored.shape)}, but "
                f"{_needed_by(source, options)} needs {list(tensor.shape)}: give the base model "
                "that the checkpoint was trained with"
            )
        else:
            entries.append(streamed(name, source, stored, options.dtype, path))
    if OUTPUT_LAYER not in used and OUTPUT_LAYER in tensors:
        _check_tied(tensors, options, path)
        used.add(OUTPUT_LAYER)
    leftover = leftover_names(tensors, used)
    if missing:
        raise InputError(f"{path}: does not fit the base models: it lacks {name_some(missing)}")
    if leftover:
        raise InputError(
            f"{path}: has tensors that its base models have no place for: {name_some(leftover)}"
        )
    return entries


def _check_tied(tensors: Tensors, options: ConversionOptions, path: Path) -> None:
    output, embedding = tensors[OUTPUT_LAYER], tensors[EMBEDDING]
    if output.shape != embedding.shape:
        raise InputError(
            f"{path}: {OUTPUT_LAYER} is {list(output.shape)} and {EMBEDDING} is "
            f"{list(embedding.shape)}, but {options.language_model} ties them"
        )
    if not output.same_as(embedding) and not torch.equal(output.read(), embedding.read()):
        raise InputError(
            f"{path}: {OUTPUT_LAYER} and {EMBEDDING} {list(output.shape)} differ, but "
            f"{options.language_model} ties them: give the language model it was trained with"
        )


def _needed_by(name: str, options: ConversionOptions) -> str:
    if name.startswith("audio_encoder."):
        return str(options.audio_encoder or "a published Whisper")
    if name.startswith("video_encoder."):
        return str(options.video_encoder or "a published AV-HuBERT")
    return str(options.language_model)


def _empty(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> StreamedTensor:
    return StreamedTensor(
        name=name, dtype=dtype, shape=shape, read=lambda: torch.empty(shape, dtype=dtype)
    )

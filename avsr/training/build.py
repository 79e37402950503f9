"""The model that a run starts from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avsr.config import AvsrConfig
from avsr.errors import ModelUnavailableError, UsageError, one_line
from avsr.model import AvsrForConditionalGeneration
from avsr.model_files.base_models import configure, load_base_models
from avsr.model_files.vocabulary import closed_vocabulary
from avsr.pretrained import load_model
from avsr.processing import AvsrProcessor
from avsr.training.objective import checkpoint_language_model
from avsr.training.settings import TrainConfig
from avsr.training.trained_weights import choose_trained


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run starts from.

    Attributes:
        model: with exactly the parts that learn unfrozen.
        processor: its processor.
        vocabulary: the words that the model knows so far; None for one that writes anything.
    """

    model: AvsrForConditionalGeneration
    processor: AvsrProcessor
    vocabulary: frozenset[str] | None = None


def build_model(config: TrainConfig) -> Start:
    """Load or make the model.

    New weights depend on the seed alone.

    Raises:
        ModelUnavailableError: a model folder or base model cannot be loaded.
        UsageError: settings that the model refuses.
    """
    torch.manual_seed(config.seed)
    start = _continued(config) if config.init.model else _new(config)
    try:
        choose_trained(start.model, config.objective.train)
    except ValueError as error:
        raise UsageError(f"objective.train: {one_line(error)}") from None
    if config.optimizer.gradient_checkpointing:
        checkpoint_language_model(start.model)
    return start


def _continued(config: TrainConfig) -> Start:
    """A model to go on with; only what concerns training alone may be changed."""
    loaded = load_model(str(config.init.model), device="cpu")
    for name, value in config.model.chosen().items():
        setattr(loaded.model.config, name, value)
    dropout = config.model.lora_dropout
    if dropout is not None and loaded.model.lora is not None:
        for layer in loaded.model.lora.layers:
            for name in layer.lora_dropout:
                layer.lora_dropout[name] = torch.nn.Dropout(dropout)
    return Start(
        model=loaded.model.to(getattr(torch, config.init.dtype)),
        processor=loaded.processor,
        vocabulary=closed_vocabulary(loaded.location),
    )


def _new(config: TrainConfig) -> Start:
    init = config.init
    settings: dict[str, Any] = config.model.chosen()
    video_encoder_lora_rank = settings.pop("video_encoder_lora_rank", None)
    if "ctc_pieces" in settings:
        settings["ctc_pieces"] = _token_ids(Path(settings["ctc_pieces"]))
    try:
        described, processor = configure(
            str(init.language_model),
            init.audio_encoder,
            init.video_encoder,
            revisions=init.revisions,
            local_files_only=init.offline,
            **settings,
        )
        if video_encoder_lora_rank is not None:
            described.video_config.lora_bottleneck = video_encoder_lora_rank
        model = AvsrForConditionalGeneration(AvsrConfig.from_dict(described.to_dict()))
        load_base_models(model, dtype=getattr(torch, init.dtype), local_files_only=init.offline)
    except OSError as error:
        raise ModelUnavailableError(f"init: {one_line(error)}") from error
    except ValueError as error:
        raise UsageError(f"model: {one_line(error)}") from error
    return Start(model=model, processor=processor)


def _token_ids(file: Path) -> list[int]:
    try:
        ids = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"model.ctc_pieces: {file}: {one_line(error)}") from None
    if not isinstance(ids, list) or not all(type(item) is int for item in ids):
        raise UsageError(f"model.ctc_pieces: {file} is no JSON list of token ids")
    return ids

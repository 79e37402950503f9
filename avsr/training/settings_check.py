"""Which settings are out of range, cannot stand together, or name files that are not there."""

from pathlib import Path

from avsr.training.settings import BABBLE, PARTS, InitSettings, ModelSettings, TrainConfig

_CTC_PARTS = ("ctc_heads", "audio_encoder", "video_encoder", "encoder_lora")
_FREE_MODEL_FIELDS = ("lora_dropout",)


def conflicts(config: TrainConfig) -> list[str]:
    """What is missing, out of range or cannot stand together, one sentence each."""
    return [
        *_init_conflicts(config.init, config.model),
        *_data_conflicts(config),
        *_objective_conflicts(config),
        *_range_problems(config),
    ]


def _init_conflicts(init: InitSettings, model: ModelSettings) -> list[str]:
    problems = []
    bases = {
        name: getattr(init, name) for name in ("language_model", "audio_encoder", "video_encoder")
    }
    if init.model is None and init.language_model is None:
        problems.append("init needs model (to go on with) or language_model (to build around)")
    if init.model is not None and any(bases.values()):
        named = ", ".join(f"init.{name}" for name, value in bases.items() if value)
        problems.append(f"init.model has its own base models: remove {named}")
    fixed = [name for name in model.chosen() if name not in _FREE_MODEL_FIELDS]
    if init.model is not None and fixed:
        problems.append(
            f"the architecture of init.model is fixed: remove model.{', model.'.join(fixed)}"
        )
    if init.model is None and init.language_model is not None:
        if not (init.audio_encoder or init.video_encoder):
            problems.append("init needs an audio_encoder, a video_encoder or both")
        for modality in model.modalities or ():
            for stream in ("audio", "video"):
                needed = modality in (stream, "av")
                if needed and bases[f"{stream}_encoder"] is None:
                    problems.append(f'model.modalities "{modality}" needs init.{stream}_encoder')
    if model.trim_video_to_rate and len(model.video_rates or (2, 5)) > 1:
        problems.append("model.trim_video_to_rate needs a single rate in model.video_rates")
    if model.video_encoder_lora_rank and init.video_encoder is None and init.model is None:
        problems.append("model.video_encoder_lora_rank needs init.video_encoder")
    return problems


def _data_conflicts(config: TrainConfig) -> list[str]:
    data, checkpoint = config.data, config.checkpoint
    problems = []
    if not config.output:
        problems.append("output is missing: name the folder of the run")
    if not data.train:
        problems.append("data.train is missing: name at least one manifest")
    if data.dev is not None and data.dev_speakers:
        problems.append("data.dev and data.dev_speakers exclude each other")
    if data.dev is not None and "test" in Path(data.dev).stem.lower():
        problems.append(
            f'data.dev "{data.dev}" looks like a test set, on which nothing may be chosen: '
            "use data.dev_speakers or rename the file"
        )
    if checkpoint.choose_by == "wer" and not config.has_dev:
        problems.append("checkpoint.choose_by wer needs data.dev or data.dev_speakers")
    if checkpoint.patience is not None and not config.has_dev:
        problems.append("checkpoint.patience needs data.dev or data.dev_speakers")
    if checkpoint.average > 1 and checkpoint.average >= checkpoint.keep:
        problems.append(
            f"checkpoint.average ({checkpoint.average}) needs as many checkpoints on disk beside "
            f"the best one: raise checkpoint.keep ({checkpoint.keep})"
        )
    if checkpoint.every is not None and checkpoint.every % config.log_steps:
        problems.append(
            f"checkpoint.every ({checkpoint.every}) must be a multiple of checkpoint.log_every "
            f"({config.log_steps}), so that a resumed run logs the same losses"
        )
    return problems


def _objective_conflicts(config: TrainConfig) -> list[str]:
    problems = []
    dropout, modalities = config.objective.modality_dropout, config.model.modalities
    if dropout.audio_only + dropout.video_only > 1:
        problems.append("objective.modality_dropout: the two shares add up to more than 1")
    if modalities is not None:
        for stream in ("audio", "video"):
            share = getattr(dropout, f"{stream}_only")
            if share and not {"av", stream} <= set(modalities):
                problems.append(
                    f"objective.modality_dropout.{stream}_only needs av and {stream} in "
                    "model.modalities"
                )
    if not config.objective.train:
        problems.append(f"objective.train is empty: choose from {', '.join(PARTS)}")
    problems += _ctc_conflicts(config)
    if config.augmentation.noise and not config.augmentation.snr_db:
        problems.append("augmentation.noise needs at least one augmentation.snr_db")
    for name in ("bad_lips", "bad_sound"):
        if getattr(config.augmentation, name) and not getattr(config.augmentation, f"{name}_kinds"):
            problems.append(f"augmentation.{name} needs at least one of {name}_kinds")
    return problems


def _ctc_conflicts(config: TrainConfig) -> list[str]:
    weight, train = config.objective.ctc.weight, config.objective.train
    if not weight and "ctc_heads" in train:
        return [
            "objective.train names ctc_heads, whose loss has no weight: set objective.ctc.weight "
            "or leave them out"
        ]
    kinds = (config.model.audio_ctc, config.model.video_ctc)
    scored = (*_CTC_PARTS, "projectors") if "tied" in kinds else _CTC_PARTS
    if weight and not set(scored) & set(train):
        return [
            "objective.ctc.weight has nothing to teach: add ctc_heads (or another of "
            f"{', '.join(scored)}) to objective.train"
        ]
    problems = []
    if config.init.language_model and "tied" in kinds and not config.model.ctc_pieces:
        problems.append("tied CTC needs model.ctc_pieces, a JSON file of token ids")
    for stream in ("audio", "video"):
        encoder = getattr(config.init, f"{stream}_encoder")
        if getattr(config.model, f"{stream}_ctc") and config.init.language_model and not encoder:
            problems.append(f"model.{stream}_ctc needs init.{stream}_encoder")
    return problems


def _range_problems(config: TrainConfig) -> list[str]:
    lowest = {
        "data.max_duration_s": 0.1,
        "data.dev_speakers": 0,
        "data.workers": 0,
        "batch.max_frames": 1,
        "batch.max_clips": 1,
        "batch.accumulation": 1,
        "augmentation.babble_voices": 2,
        "objective.task_weights.asr": 0.0,
        "objective.task_weights.vsr": 0.0,
        "objective.task_weights.avsr": 0.0,
        "objective.ctc.weight": 0.0,
        "objective.modality_dropout.audio_only": 0.0,
        "objective.modality_dropout.video_only": 0.0,
        "optimizer.learning_rate": 0.0,
        "optimizer.epochs": 0.0,
        "optimizer.max_steps": 1,
        "optimizer.warmup_steps": 0,
        "optimizer.weight_decay": 0.0,
        "checkpoint.every": 1,
        "checkpoint.keep": 1,
        "checkpoint.average": 1,
        "checkpoint.patience": 1,
        "checkpoint.log_every": 1,
        "objective.decorrelation.weight": 0.0,
    }
    problems = []
    for name, limit in lowest.items():
        value: object = config
        for part in name.split("."):
            value = getattr(value, part)
        if isinstance(value, int | float) and value < limit:
            problems.append(f"{name} must be at least {limit:g}, got {value:g}")
    for name in ("flip", "bad_lips", "bad_sound"):
        chance = getattr(config.augmentation, name)
        if not 0 <= chance <= 1:
            problems.append(f"augmentation.{name} is a probability, got {chance:g}")
    return problems


def missing_files(config: TrainConfig) -> list[str]:
    """Files that are named and not there, one sentence each."""
    named = [("data.train", name) for name in config.data.train]
    named += [("data.dev", config.data.dev)] if config.data.dev is not None else []
    pieces = config.model.ctc_pieces
    named += [("model.ctc_pieces", pieces)] if pieces is not None else []
    noises = config.augmentation.noise
    named += [("augmentation.noise", name) for name in noises if name != BABBLE]
    return [
        f"{setting}: there is no file {name}" for setting, name in named if not Path(name).is_file()
    ]

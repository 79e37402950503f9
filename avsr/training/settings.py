"""Settings of a training run: nested frozen dataclasses whose defaults are the published recipe.

Where they come from is :mod:`avsr.training.settings_file`; what may not stand together is
:func:`conflicts`.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

PARTS = (
    "projectors",
    "lora",
    "encoder_lora",
    "ctc_heads",
    "audio_encoder",
    "video_encoder",
    "language_model",
)
Part = Literal[
    "projectors",
    "lora",
    "encoder_lora",
    "ctc_heads",
    "audio_encoder",
    "video_encoder",
    "language_model",
]
ModalityName = Literal["audio", "video", "av"]

_FREE_MODEL_FIELDS = ("lora_dropout", "decorrelation_weight", "decorrelation_layers")


@dataclass(frozen=True, kw_only=True)
class InitSettings:
    """Where the weights come from: a model to go on with, or base models to build around.

    Attributes:
        model: an avsr model folder or bundled name; its architecture is kept.
        language_model: folder or hub id of a causal language model.
        audio_encoder: folder or hub id of a Whisper model; None for a model that cannot hear.
        video_encoder: folder of an AV-HuBERT encoder; None for a model that cannot see.
        revisions: revisions of the hub ids, for "text", "audio", "video".
        offline: use nothing but files already on this machine.
        dtype: type of the frozen weights; trained ones are always float32.
    """

    model: str | None = None
    language_model: str | None = None
    audio_encoder: str | None = None
    video_encoder: str | None = None
    revisions: dict[str, str] = field(default_factory=dict)
    offline: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Fields of :class:`~avsr.config.AvsrConfig`; None leaves its default.

    Attributes:
        video_encoder_lora_rank: bottleneck of LoRA inside the AV-HuBERT encoder; 0 for none.
    """

    modalities: tuple[ModalityName, ...] | None = None
    audio_rates: tuple[int, ...] | None = None
    video_rates: tuple[int, ...] | None = None
    compression: Literal["average", "stack"] | None = None
    projector_hidden_size: int | None = None
    projector_per_rate: bool | None = None
    projector_activation: Literal["relu", "gelu", "silu"] | None = None
    audio_projector_layer_norm: bool | None = None
    video_projector_layer_norm: bool | None = None
    lora_strategy: (
        Literal["shared", "per_rate", "shared+per_rate", "per_task", "shared+per_task"] | None
    ) = None
    lora_rank: int | None = None
    lora_scaling: float | None = None
    lora_target_modules: tuple[str, ...] | None = None
    lora_dropout: float | None = None
    video_encoder_lora_rank: int | None = None
    decorrelation_weight: float | None = None
    decorrelation_layers: Literal["paper", "released"] | None = None
    audio_context: Literal["exact", "padded"] | None = None
    trim_video_to_rate: bool | None = None
    max_tokens_per_second: float | None = None

    def chosen(self) -> dict[str, object]:
        """The fields that are set."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What is trained on.

    Attributes:
        train: manifests.
        dev: manifest on which checkpoints are chosen; never a test set.
        dev_speakers: without ``dev``, so many speakers of ``train`` are kept for it. A clip
            without a speaker counts as spoken by the folder it lies in (LRS3: one talk).
        cache: folder of decoded clips; None: ``clips`` in the output folder.
        max_duration_s: longer clips are left out and listed.
        normalise_text: lower case, no punctuation.
        workers: processes that load clips, per training process.
    """

    train: tuple[str, ...] = ()
    dev: str | None = None
    dev_speakers: int = 0
    cache: str | None = None
    max_duration_s: float = 16.0
    normalise_text: bool = True
    workers: int = 0


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How clips are put together.

    Attributes:
        max_frames: bound on clips times longest clip, in video frames (25 per second), of a batch.
        max_clips: bound on the clips of a batch.
        accumulation: batches per optimiser step and process.
    """

    max_frames: int = 1500
    max_clips: int = 256
    accumulation: int = 1


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """Random changes of training clips.

    Attributes:
        random_crop: a random 88 x 88 part of the mouth picture, one place per clip.
        flip: probability that a clip is mirrored.
        video_mask: black out runs of up to ten frames, one for each second.
        audio_mask: silence runs of up to 0.4 s, one for each second.
        noise: "babble" (voices of the training clips), or sound files; empty for no noise.
        snr_db: ratios of which one is drawn for each clip.
        clean: no noise is one more choice, as likely as each ratio.
        babble_voices: voices at once.
    """

    random_crop: bool = True
    flip: float = 0.0
    video_mask: bool = True
    audio_mask: bool = True
    noise: tuple[str, ...] = ()
    snr_db: tuple[float, ...] = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
    clean: bool = True
    babble_voices: int = 8


@dataclass(frozen=True, kw_only=True)
class TaskWeights:
    """Weight of each task's loss; the weighted losses are averaged over the tasks."""

    asr: float = 1.0
    vsr: float = 1.5
    avsr: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ModalityDropout:
    """Share of steps whose audio-visual pass is given one stream only."""

    audio_only: float = 0.0
    video_only: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings:
    """What is minimised.

    Attributes:
        matryoshka: "all": the mean over all rate pairs each step (Llama-MTSK); "sample": one pair
            per step (Omni-AVSR).
        task_weights: see :class:`TaskWeights`.
        modality_dropout: see :class:`ModalityDropout`.
        train: the parts that learn; all others stay frozen.
    """

    matryoshka: Literal["all", "sample"] = "sample"
    task_weights: TaskWeights = TaskWeights()
    modality_dropout: ModalityDropout = ModalityDropout()
    train: tuple[Part, ...] = ("projectors", "lora", "encoder_lora")


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW with a warm-up and a schedule.

    Attributes:
        epochs: passes over the training clips; ``max_steps`` ends earlier where it is set.
        warmup_steps: steps over which the learning rate rises.
        bf16: compute in bfloat16 (trained weights stay float32).
        gradient_checkpointing: recompute the language model's layers to save memory.
    """

    learning_rate: float = 1e-3
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = 0
    epochs: float = 8.0
    max_steps: int | None = None
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.98
    max_grad_norm: float = 10.0
    bf16: bool = False
    gradient_checkpointing: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """When progress is logged, measured and kept.

    Attributes:
        every: steps between checkpoints (dev loss, then a checkpoint); None: every epoch.
        choose_by: on dev, the loss of the texts or the word error rate of greedy decoding, weighted
            over tasks and rates as in training. The latter is what counts, and takes longer.
        keep: checkpoints that stay on disk; the best one always does.
        average: the last so many checkpoints are averaged; the average becomes the final model if
            it is better on dev than the best checkpoint (or where there is no dev).
        patience: stop after so many checkpoints that are no better on dev; None: never.
        log_every: steps between lines of the log.
        tensorboard: write TensorBoard files as well.
    """

    every: int | None = None
    choose_by: Literal["loss", "wer"] = "loss"
    keep: int = 3
    average: int = 1
    patience: int | None = None
    log_every: int = 50
    tensorboard: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings of one run.

    Attributes:
        output: folder of the run.
        seed: fixes everything that is drawn.
        device: "auto": a GPU if there is one.
    """

    output: str = ""
    seed: int = 7
    device: Literal["auto", "cpu"] = "auto"
    init: InitSettings = InitSettings()
    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    batch: BatchSettings = BatchSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

    @property
    def has_dev(self) -> bool:
        """Whether checkpoints are chosen on dev data."""
        return self.data.dev is not None or self.data.dev_speakers > 0


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
    if checkpoint.every is not None and checkpoint.every % checkpoint.log_every:
        problems.append(
            f"checkpoint.every ({checkpoint.every}) must be a multiple of checkpoint.log_every "
            f"({checkpoint.log_every}), so that a resumed run logs the same losses"
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
    if config.augmentation.noise and not config.augmentation.snr_db:
        problems.append("augmentation.noise needs at least one augmentation.snr_db")
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
        "model.decorrelation_weight": 0.0,
    }
    problems = []
    for name, limit in lowest.items():
        value: object = config
        for part in name.split("."):
            value = getattr(value, part)
        if isinstance(value, int | float) and value < limit:
            problems.append(f"{name} must be at least {limit:g}, got {value:g}")
    if not 0 <= config.augmentation.flip <= 1:
        problems.append(f"augmentation.flip is a probability, got {config.augmentation.flip:g}")
    return problems

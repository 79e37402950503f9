"""Settings of a training run: nested frozen dataclasses whose defaults are the published recipe.

Where they come from is :mod:`avsr.training.settings_file`; what may not stand together is
:func:`avsr.training.settings_check.conflicts`.
"""

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

Part = Literal[
    "projectors",
    "lora",
    "encoder_lora",
    "ctc_heads",
    "audio_encoder",
    "video_encoder",
    "language_model",
]
PARTS: tuple[Part, ...] = get_args(Part)
ModalityName = Literal["audio", "video", "av"]
LipsFault = Literal["blurred", "misplaced", "covered", "frozen", "late", "other"]
SoundFault = Literal["clipped", "muffled", "gaps"]

BABBLE = "babble"  # in augmentation.noise: voices of the training clips


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
        ctc_pieces: JSON file of the token ids that tied CTC heads may say.
        video_encoder_lora_rank: bottleneck of LoRA inside the AV-HuBERT encoder; 0 for none.
    """

    modalities: tuple[ModalityName, ...] | None = None
    audio_rates: tuple[int, ...] | None = None
    video_rates: tuple[int, ...] | None = None
    compression: str | None = None
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
    audio_context: Literal["exact", "padded"] | None = None
    trim_video_to_rate: bool | None = None
    audio_ctc: bool | Literal["tied"] | None = None
    video_ctc: bool | Literal["tied"] | None = None
    ctc_pieces: str | None = None
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
        bad_lips: probability that a clip's lips deserve no trust, whatever its sound is like.
        bad_lips_kinds: equally likely: out of focus, cut out beside the mouth, partly hidden, a
            still picture, up to 0.6 s behind or before the sound, those of another clip. Only what
            is read by sound and lips together learns from the four that do not show the words; a
            model without that task is given the others alone.
        bad_sound: probability that a clip's sound, noise included, is damaged as well.
        bad_sound_kinds: equally likely: overdriven, without high frequencies, packets lost.
    """

    random_crop: bool = True
    flip: float = 0.0
    video_mask: bool = True
    audio_mask: bool = True
    noise: tuple[str, ...] = ()
    snr_db: tuple[float, ...] = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
    clean: bool = True
    babble_voices: int = 8
    bad_lips: float = 0.0
    bad_lips_kinds: tuple[LipsFault, ...] = get_args(LipsFault)
    bad_sound: float = 0.0
    bad_sound_kinds: tuple[SoundFault, ...] = get_args(SoundFault)


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
class CtcSettings:
    """The loss of the CTC heads on the streams, which every clip of a step has part in.

    Attributes:
        weight: factor on the heads' mean loss per step; 0 for none. On dev it counts likewise.
    """

    weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DecorrelationSettings:
    """The loss that keeps tokens from turning towards the first one.

    Attributes:
        weight: factor on it; 0 for none.
        layers: which it is averaged over, see :mod:`avsr_adapters.decorrelation`.
    """

    weight: float = 0.0
    layers: Literal["paper", "released"] = "paper"


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings:
    """What is minimised.

    Attributes:
        matryoshka: "all": the mean over all rate pairs each step (Llama-MTSK); "sample": one pair
            per step (Omni-AVSR).
        task_weights: see :class:`TaskWeights`.
        modality_dropout: see :class:`ModalityDropout`.
        ctc: see :class:`CtcSettings`.
        decorrelation: see :class:`DecorrelationSettings`.
        train: the parts that learn; all others stay frozen.
    """

    matryoshka: Literal["all", "sample"] = "sample"
    task_weights: TaskWeights = TaskWeights()
    modality_dropout: ModalityDropout = ModalityDropout()
    ctc: CtcSettings = CtcSettings()
    decorrelation: DecorrelationSettings = DecorrelationSettings()
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
        log_every: steps between lines of the log; None: see :attr:`TrainConfig.log_steps`.
        tensorboard: write TensorBoard files as well.
    """

    every: int | None = None
    choose_by: Literal["loss", "wer"] = "loss"
    keep: int = 3
    average: int = 1
    patience: int | None = None
    log_every: int | None = None
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

    @property
    def log_steps(self) -> int:
        """Steps between lines of the log: unless set, up to 10, with a line at each checkpoint."""
        every, log_every = self.checkpoint.every, self.checkpoint.log_every
        if log_every is not None:
            return max(1, log_every)
        most = max(1, min(10, self.optimizer.max_steps or 10))
        return next(n for n in range(most, 0, -1) if every is None or every % n == 0)

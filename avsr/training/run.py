"""One training run from settings to a model folder."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, PrinterCallback, ProgressCallback, TrainingArguments
from transformers.trainer_callback import TrainerState

from avsr.clips.cache import ClipCache
from avsr.errors import UsageError, one_line
from avsr.progress import Progress, Say, say_nothing, show_nothing
from avsr.training.averaging import average_checkpoints
from avsr.training.build import build_model
from avsr.training.callbacks import LogLines, StepProgress
from avsr.training.data import build_sets
from avsr.training.objective import TrainingObjective
from avsr.training.routes import RoutePlan
from avsr.training.run_folder import STATE_FILE, RunFolder
from avsr.training.settings import TrainConfig
from avsr.training.trained_weights import read_trained, trains_base_models
from avsr.training.trainer import AvsrTrainer

_MODEL_FILES_ONLY = shutil.ignore_patterns(
    "optimizer*", "scheduler.pt", "rng_state*", "trained.safetensors", STATE_FILE, "pytorch_model*"
)


def train(
    config: TrainConfig,
    *,
    inputs: Sequence[Path] = (),
    say: Say = say_nothing,
    progress: Progress = show_nothing,
) -> Path:
    """Train, or go on from the last complete checkpoint of the output folder.

    Started by ``accelerate launch`` or ``torchrun``, it runs on all their processes.

    Args:
        config: the settings.
        inputs: files that are read besides those which the settings name, such as their own.
        say: told in single lines what happens; only on the first process.
        progress: told how far the first look at the clips, and then the training, is.

    Returns:
        The folder of the final model.

    Raises:
        UsageError: settings, manifests or data that cannot be used.
        ModelUnavailableError: the model to start from cannot be loaded.
    """
    folder = RunFolder(config.output)
    arguments = _arguments(config, folder)
    first = arguments.process_index == 0
    if not first:  # one process of several speaks
        say, progress = say_nothing, show_nothing
    if first:
        folder.begin(config, arguments.world_size, inputs)
    if folder.origin().get("result"):
        say(f"{folder.path}: this run is finished; its model is {folder.model}")
        return folder.model
    start = build_model(config)
    model = start.model
    try:
        plan = RoutePlan(model.config, config.objective, config.seed)
        objective = TrainingObjective(model, config.objective)
    except ValueError as error:
        raise UsageError(f"objective: {one_line(error)}") from None
    with arguments.main_process_first(local=False, desc="decoding clips"):
        cache = ClipCache(Path(config.data.cache) if config.data.cache else folder.cache)
        sets = build_sets(config, cache, start, say, progress)
    if first:
        n_dev = 0 if sets.dev is None else len(sets.dev)
        folder.note(
            n_train=len(sets.train),
            n_dev=n_dev,
            problems=[asdict(problem) for problem in sets.problems],
        )
    trainer = AvsrTrainer(
        objective,
        arguments,
        train_set=sets.train,
        dev_set=sets.dev,
        processor=start.processor,
        plan=plan,
        batch=config.batch,
        choose_by=config.checkpoint.choose_by,
        self_contained=True if trains_base_models(config.objective.train) else None,
        callbacks=_callbacks(config, folder, say, progress),
    )
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    if config.checkpoint.choose_by == "wer" and trainer.is_fsdp_enabled:
        raise UsageError("checkpoint.choose_by wer needs a run without FSDP: use loss")
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    say(
        f"training {learned / 1e6:.2f} M of {model.num_parameters() / 1e6:.2f} M weights on "
        f"{len(sets.train)} clips, {trainer.batch_sampler.steps_per_epoch} steps an epoch, "
        f"{arguments.world_size} process{'es' if arguments.world_size > 1 else ''}"
    )
    _run(trainer, folder, say)
    _finish(trainer, folder, config, say)
    return folder.model


def _run(trainer: AvsrTrainer, folder: RunFolder, say: Say) -> None:
    checkpoint = folder.last_checkpoint()
    state = None
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(checkpoint / STATE_FILE))
        say(f"going on from {checkpoint}")
        if trainer.is_world_process_zero():
            folder.forget_log_after(state.global_step)
        if state.global_step >= state.max_steps or _was_stopped(state):
            trainer.state = state
            trainer.load_trained(read_trained(checkpoint))
            return
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def _was_stopped(state: TrainerState) -> bool:
    callbacks: Any = state.stateful_callbacks or {}  # a mapping once it is read from a file
    control = callbacks.get("TrainerControl", {})
    return bool(control.get("args", {}).get("should_training_stop"))


def _finish(trainer: AvsrTrainer, folder: RunFolder, config: TrainConfig, say: Say) -> None:
    """Choose the final model: the best checkpoint, or the average of the last ones."""
    checkpoints = folder.checkpoints()
    best_step, best = trainer.state.best_global_step, trainer.state.best_metric
    measure = f"dev_{config.checkpoint.choose_by}"
    chosen = folder.path / f"checkpoint-{best_step}" if best_step else checkpoints[-1]
    result: dict[str, Any] = {"checkpoint": chosen.name, measure: best}
    averaged = checkpoints[-config.checkpoint.average :]
    tensors = None
    if len(averaged) > 1 and trainer.is_fsdp_enabled:
        say("the average of checkpoints is left out: it needs a run without FSDP")
    elif len(averaged) > 1:
        tensors = average_checkpoints(averaged)
        trainer.load_trained(tensors)
        value = trainer.dev_measure() if config.has_dev else None
        if value is not None and best is not None and value >= best:
            say(f"the average of {len(averaged)} checkpoints is no better on dev ({value:.4f})")
            tensors = None
        else:
            result = {"average_of": [path.name for path in averaged], measure: value}
    if trainer.is_world_process_zero():
        if tensors is None:
            shutil.copytree(chosen, folder.model, ignore=_MODEL_FILES_ONLY, dirs_exist_ok=True)
        else:
            trainer.write_model(folder.model)
        folder.note(result=result)
        what = result.get("checkpoint") or f"the average of {len(averaged)} checkpoints"
        dev = "" if result[measure] is None else f", {measure} {result[measure]:.4f}"
        say(f"the final model is {what}{dev}: {folder.model}")
    trainer.accelerator.wait_for_everyone()


def _arguments(config: TrainConfig, folder: RunFolder) -> TrainingArguments:
    optimizer, checkpoint = config.optimizer, config.checkpoint
    if checkpoint.tensorboard:
        if find_spec("tensorboard") is None and find_spec("tensorboardX") is None:
            raise UsageError("checkpoint.tensorboard needs tensorboardX: pip install 'avsr[train]'")
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder.path / "tensorboard")
    strategy = "epoch" if checkpoint.every is None else "steps"
    arguments = TrainingArguments(
        output_dir=str(folder.path),
        seed=config.seed,
        use_cpu=config.device == "cpu",
        gradient_accumulation_steps=config.batch.accumulation,
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type=optimizer.schedule,
        warmup_steps=optimizer.warmup_steps,
        num_train_epochs=optimizer.epochs,
        max_steps=optimizer.max_steps or -1,
        weight_decay=optimizer.weight_decay,
        adam_beta1=optimizer.beta1,
        adam_beta2=optimizer.beta2,
        max_grad_norm=optimizer.max_grad_norm,
        bf16=optimizer.bf16,
        logging_steps=config.log_steps,
        logging_nan_inf_filter=False,  # the log is to show what happened
        report_to="tensorboard" if checkpoint.tensorboard else "none",
        disable_tqdm=True,
        log_level="error",  # its warnings are about options that we do not use
        eval_strategy=strategy if config.has_dev else "no",
        eval_steps=checkpoint.every,
        save_strategy=strategy,
        save_steps=checkpoint.every or 500,
        save_total_limit=checkpoint.keep,
        metric_for_best_model=checkpoint.choose_by if config.has_dev else None,
        greater_is_better=False if config.has_dev else None,
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        dataloader_num_workers=config.data.workers,
        dataloader_pin_memory=torch.cuda.is_available() and config.device == "auto",
        ddp_find_unused_parameters=True,  # a step trains only the adapters of its rates
        ddp_broadcast_buffers=False,
    )
    if not optimizer.bf16:
        arguments.mixed_precision = "no"  # settings decide, not how processes were launched
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several GPUs are for several processes, never for threads
    return arguments


def _callbacks(config: TrainConfig, folder: RunFolder, say: Say, progress: Progress) -> list:
    def write(step: int, values: dict[str, float]) -> None:
        folder.add_to_log(step, values)
        measured = {name: values[name] for name in values if name in ("eval_loss", "eval_wer")}
        if measured:  # the rest is in the log
            shown = (f"{name[5:]} {value:.4g}" for name, value in measured.items())
            say(f"step {step}: on dev {', '.join(shown)}")

    callbacks: list = [LogLines(write), StepProgress(progress)]
    if config.checkpoint.patience is not None:
        callbacks.append(EarlyStoppingCallback(config.checkpoint.patience))
    return callbacks

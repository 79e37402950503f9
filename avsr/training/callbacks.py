"""What the Trainer tells the rest of a run, and the other way round."""

from collections.abc import Callable

from transformers import TrainerCallback

from avsr.progress import Progress
from avsr.training.batching import FrameBatchSampler


class LogLines(TrainerCallback):
    """Passes every line of the log on.

    Args:
        write: is given the step and the values.
    """

    def __init__(self, write: Callable[[int, dict[str, float]], None]) -> None:
        self._write = write

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if state.is_world_process_zero and logs:
            self._write(state.global_step, dict(logs))


class StepProgress(TrainerCallback):
    """Tells how many steps are done, with the epoch and the last loss.

    Args:
        progress: is told it.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._loss = ""

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if logs and "loss" in logs:
            self._loss = f", loss {float(logs['loss']):.4g}"

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.is_world_process_zero:
            stage = f"training steps: epoch {state.epoch or 0:.2f}{self._loss}"
            self._progress(stage, state.global_step, state.max_steps)


class EpochOfSampler(TrainerCallback):
    """Tells the sampler its epoch, which accelerate does not when it skips batches to resume."""

    def __init__(self, sampler: FrameBatchSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        self._sampler.set_epoch(state.global_step // self._sampler.steps_per_epoch)

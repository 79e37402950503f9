"""What the Trainer tells the rest of a run, and the other way round."""

from collections.abc import Callable

from transformers import TrainerCallback

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


class EpochOfSampler(TrainerCallback):
    """Tells the sampler its epoch, which accelerate does not when it skips batches to resume."""

    def __init__(self, sampler: FrameBatchSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        self._sampler.set_epoch(state.global_step // self._sampler.steps_per_epoch)

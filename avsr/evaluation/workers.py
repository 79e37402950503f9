"""An evaluation's work in other processes, each with its own model."""

from collections.abc import Iterator, Sequence

import torch

from avsr.clips.cache import ClipCache
from avsr.errors import InputError
from avsr.evaluation.conditions import UtteranceOutcome
from avsr.evaluation.job import EvaluationJob
from avsr.manifest import Utterance
from avsr.pretrained import LoadedModel, load_model
from avsr.workers import Workers, available_cores

_GPUS = "cuda"  # a device that stands for all GPUs


class _Work:
    """What a worker keeps; it is made by whoever has the work, and filled by the worker.

    Args:
        job: what is done.
        workers: who do it.
    """

    def __init__(self, job: EvaluationJob, workers: Workers) -> None:
        self.job = job
        self.n_threads = workers.share(available_cores())
        self._cache: ClipCache | None = None

    @property
    def cache(self) -> ClipCache:
        """Where decoded clips are kept."""
        if self._cache is None:
            torch.set_num_threads(self.n_threads)
            self._cache = ClipCache(self.job.cache_folder)
        return self._cache


class _Inspection(_Work):
    """Looks at one clip."""

    def __call__(self, utterance: Utterance) -> UtteranceOutcome:
        return self.job.inspect(self.cache, utterance)


class _Recognition(_Work):
    """Fills in a batch, which comes with its number; the first one chooses the worker's GPU."""

    _loaded: LoadedModel | None = None

    def __call__(self, task: tuple[int, list[UtteranceOutcome]]) -> list[UtteranceOutcome]:
        number, batch = task
        clips = self.job.read(self.cache, [outcome.utterance for outcome in batch])
        if self._loaded is None:
            self._loaded = load_model(
                self.job.location,
                _own_device(self.job.device, number),
                allow_untrained_rate=self.job.allow_untrained_rate,
            )
        self.job.recognise(self._loaded, batch, clips)
        return batch


def inspect_elsewhere(
    job: EvaluationJob, utterances: Sequence[Utterance], workers: Workers
) -> Iterator[UtteranceOutcome]:
    """Look at clips, in the order of completion; one that ends its process has failed."""
    for utterance, outcome in workers.run(_Inspection(job, workers), utterances):
        if outcome is None:
            reason = f"{utterance.path}: the process that read it died"
            outcome = UtteranceOutcome(utterance=utterance, failure=reason)
        yield outcome


def recognise_elsewhere(
    job: EvaluationJob, batches: Sequence[list[UtteranceOutcome]], workers: Workers
) -> Iterator[list[UtteranceOutcome]]:
    """Fill in batches, in the order of completion.

    Raises:
        InputError: if a process died over a batch.
    """
    tasks = list(enumerate(batches))
    for (_, batch), outcomes in workers.run(_Recognition(job, workers), tasks):
        if outcomes is None:
            raise InputError(
                f"{batch[0].utterance.id} and the clips of its batch: the process that "
                "recognised them died, perhaps for want of memory; what is finished is kept: "
                "run again with smaller batches or fewer processes",
                settings=("batch_size", "jobs"),
            )
        yield outcomes


def _own_device(device: str, number: int) -> str:
    """The device of this process: GPUs are dealt out by the number of the first task it got."""
    n_devices = torch.cuda.device_count() if device == _GPUS else 1
    return device if n_devices < 2 else f"{_GPUS}:{number % n_devices}"

"""An evaluation on several processes, each with its own model and a share of the cores or GPUs."""

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from avsr.clips.cache import ClipCache
from avsr.errors import InputError
from avsr.evaluation.conditions import UtteranceOutcome
from avsr.evaluation.job import EvaluationJob
from avsr.manifest import Utterance
from avsr.pretrained import LoadedModel, load_model
from avsr.worker_pool import available_cores, run_tasks

_GPUS = "cuda"  # a device that stands for all GPUs
_place: int | None = None  # of this process among the others


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A share of the work.

    Attributes:
        job_file: the pickled job.
        n_threads: of each process.
        number: of the task; the first one that a process gets chooses its GPU.
        utterances: clips to look at.
        batch: outcomes to fill in.
    """

    job_file: str
    n_threads: int
    number: int = 0
    utterances: tuple[Utterance, ...] = ()
    batch: tuple[UtteranceOutcome, ...] = ()


def inspect_in_processes(
    job: EvaluationJob, utterances: Sequence[Utterance], n_jobs: int
) -> Iterator[UtteranceOutcome]:
    """Look at clips, in the order of completion; one that ends its process has failed."""
    with tempfile.TemporaryDirectory(prefix="avsr-job-") as folder:
        job_file, n_threads = _write(job, Path(folder)), _threads(n_jobs)
        tasks = [
            _Task(job_file=job_file, n_threads=n_threads, utterances=(utterance,))
            for utterance in utterances
        ]
        for task, outcomes in run_tasks(_inspect, tasks, n_jobs):
            if outcomes is None:
                (utterance,) = task.utterances
                reason = f"{utterance.path}: the process that read it died"
                outcomes = [UtteranceOutcome(utterance=utterance, failure=reason)]
            yield from outcomes


def recognise_in_processes(
    job: EvaluationJob, batches: Sequence[Sequence[UtteranceOutcome]], n_jobs: int
) -> Iterator[list[UtteranceOutcome]]:
    """Fill in batches, in the order of completion.

    Raises:
        InputError: if a process died over a batch.
    """
    with tempfile.TemporaryDirectory(prefix="avsr-job-") as folder:
        job_file, n_threads = _write(job, Path(folder)), _threads(n_jobs)
        tasks = [
            _Task(job_file=job_file, n_threads=n_threads, number=number, batch=tuple(batch))
            for number, batch in enumerate(batches)
        ]
        for task, outcomes in run_tasks(_recognise, tasks, n_jobs):
            if outcomes is None:
                raise InputError(
                    f"{task.batch[0].utterance.id} and the clips of its batch: the process that "
                    "recognised them died, perhaps for want of memory; what is finished is kept: "
                    "run again with smaller batches or fewer processes",
                    settings=("batch_size", "jobs"),
                )
            yield outcomes


def _write(job: EvaluationJob, folder: Path) -> str:
    file = folder / "job.pickle"
    file.write_bytes(pickle.dumps(job))
    return str(file)


def _threads(n_jobs: int) -> int:
    return max(1, available_cores() // n_jobs)


def _inspect(task: _Task) -> list[UtteranceOutcome]:
    torch.set_num_threads(task.n_threads)
    job, cache = _job(task.job_file)
    return [job.inspect(cache, utterance) for utterance in task.utterances]


def _recognise(task: _Task) -> list[UtteranceOutcome]:
    torch.set_num_threads(task.n_threads)
    job, cache = _job(task.job_file)
    batch = list(task.batch)
    clips = job.read(cache, [outcome.utterance for outcome in batch])
    job.recognise(_loaded(task.job_file, _own_device(job.device, task.number)), batch, clips)
    return batch


@lru_cache(maxsize=1)
def _job(job_file: str) -> tuple[EvaluationJob, ClipCache]:
    job: EvaluationJob = pickle.loads(Path(job_file).read_bytes())  # our own file, seconds old
    return job, ClipCache(job.cache_folder)


@lru_cache(maxsize=1)
def _loaded(job_file: str, device: str) -> LoadedModel:
    job, _ = _job(job_file)
    return load_model(job.location, device, allow_untrained_rate=job.allow_untrained_rate)


def _own_device(device: str, number: int) -> str:
    """The device of this process: GPUs are dealt out by the number of the first task it got."""
    n_devices = torch.cuda.device_count() if device == _GPUS else 1
    if n_devices < 2:
        return device
    global _place
    if _place is None:
        _place = number
    return f"{_GPUS}:{_place % n_devices}"

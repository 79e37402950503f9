"""Word error rates of a model over a manifest, for every combination of what it can be given.

Clips are decoded and cropped once, encoders run once for each noise condition, and every modality
and rate pair decodes the same features. Nothing is dropped: a clip that cannot be read, or lacks
what a row needs, counts with an empty hypothesis.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from avsr.clips.cache import ClipCache
from avsr.clips.clip import Clip
from avsr.clips.read_ahead import read_ahead
from avsr.decoding.options import SearchOptions
from avsr.evaluation.conditions import Condition, UtteranceOutcome
from avsr.evaluation.job import EvaluationJob
from avsr.evaluation.journal import Journal
from avsr.evaluation.workers import inspect_elsewhere, recognise_elsewhere
from avsr.manifest import Utterance
from avsr.noise import NoiseSource
from avsr.pretrained import LoadedModel
from avsr.progress import Progress, show_nothing
from avsr.workers import Workers


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All outcomes of one run.

    Attributes:
        conditions: the rows, in order.
        outcomes: one for each utterance, in the manifest's order.
        n_recognised: clips that this run recognised, not those that the journal held.
        seconds: how long it took to recognise them under all rows.
    """

    conditions: tuple[Condition, ...]
    outcomes: tuple[UtteranceOutcome, ...]
    n_recognised: int = 0
    seconds: float = 0.0

    @property
    def references(self) -> list[str]:
        """The text of each utterance as it was written."""
        return [outcome.utterance.text for outcome in self.outcomes]

    def hypotheses(self, condition: Condition) -> list[str]:
        """What a row read from each utterance."""
        return [outcome.hypotheses.get(condition, "") for outcome in self.outcomes]

    @property
    def n_drafted(self) -> int:
        """Tokens that a draft proposed, over all rows."""
        return sum(outcome.n_drafted for outcome in self.outcomes)

    @property
    def n_accepted(self) -> int:
        """How many of them the language model chose too."""
        return sum(outcome.n_accepted for outcome in self.outcomes)


def run_evaluation(
    loaded: LoadedModel,
    utterances: Sequence[Utterance],
    conditions: Sequence[Condition],
    *,
    cache: ClipCache,
    noises: dict[str, NoiseSource] | None = None,
    search: SearchOptions | None = None,
    batch_size: int = 16,
    workers: Workers | None = None,
    journal: Journal | None = None,
    progress: Progress = show_nothing,
) -> Evaluation:
    """Run a model over utterances under all conditions.

    Args:
        loaded: the model.
        utterances: with texts, which are empty where nothing is said.
        conditions: from :func:`avsr.evaluation.conditions.plan_conditions`.
        cache: where decoded clips are kept.
        noises: a source for each noise that the conditions name.
        search: how texts are searched for; None: as the model was made for.
        batch_size: clips encoded and texts decoded together; does not change the results.
        workers: each loads the model again; None: all is done in this process.
        journal: where finished utterances are written down, and read from first.
        progress: told how far the work is.

    Returns:
        The outcomes, in the order of ``utterances``.

    Raises:
        UsageError: if a noise recording is silent.
        InputError: if a process died that was recognising.
    """
    conditions = tuple(conditions)
    job = EvaluationJob(
        location=loaded.location,
        device=computing_device(loaded, workers),
        allow_untrained_rate=loaded.allow_untrained_rate,
        cache_folder=cache.folder,
        conditions=conditions,
        noises=noises or {},
        search=search or SearchOptions(),
        batch_size=batch_size,
    )
    found: dict[str, UtteranceOutcome] = {}
    inspected = (
        _inspect(job, cache, utterances)
        if workers is None
        else inspect_elsewhere(job, utterances, workers)
    )
    for outcome in inspected:
        found[outcome.utterance.id] = outcome
        progress("reading clips", len(found), len(utterances))
    outcomes = [found[utterance.id] for utterance in utterances]
    todo = readable = [outcome for outcome in outcomes if outcome.failure is None]
    if journal is not None:
        todo = journal.restore(readable, conditions)
    todo = sorted(todo, key=lambda outcome: -outcome.duration_s)  # like lengths waste no padding
    batches = [todo[start : start + batch_size] for start in range(0, len(todo), batch_size)]
    recognised = (
        _recognise(job, loaded, cache, batches)
        if workers is None
        else recognise_elsewhere(job, batches, workers)
    )
    started = time.perf_counter()
    n_readings = len(readable) * len(conditions)
    n_done = n_readings - len(todo) * len(conditions)
    progress("readings", n_done, n_readings)
    for batch in recognised:
        if journal is not None:
            journal.add(batch, conditions)
        found |= {outcome.utterance.id: outcome for outcome in batch}
        n_done += len(batch) * len(conditions)
        progress("readings", n_done, n_readings)
    return Evaluation(
        conditions=conditions,
        outcomes=tuple(found[utterance.id] for utterance in utterances),
        n_recognised=len(todo),
        seconds=time.perf_counter() - started,
    )


def computing_device(loaded: LoadedModel, workers: Workers | None) -> str:
    """The device that clips are recognised on."""
    here = str(loaded.device)
    return here if workers is None else workers.device(here)


def _inspect(
    job: EvaluationJob, cache: ClipCache, utterances: Sequence[Utterance]
) -> Iterator[UtteranceOutcome]:
    for utterance in utterances:
        yield job.inspect(cache, utterance)


def _recognise(
    job: EvaluationJob,
    loaded: LoadedModel,
    cache: ClipCache,
    batches: Sequence[list[UtteranceOutcome]],
) -> Iterator[list[UtteranceOutcome]]:
    for batch, clips in read_ahead(_read(job, cache, batches)):
        job.recognise(loaded, batch, clips)
        yield batch


def _read(
    job: EvaluationJob, cache: ClipCache, batches: Sequence[list[UtteranceOutcome]]
) -> Generator[tuple[list[UtteranceOutcome], list[Clip]], None, None]:
    for batch in batches:
        yield batch, job.read(cache, [outcome.utterance for outcome in batch])

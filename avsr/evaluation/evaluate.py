"""One evaluation from settings to results: what ``avsr evaluate`` and :func:`avsr.evaluate` do."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avsr.clips.cache import ClipCache
from avsr.config import AvsrConfig
from avsr.datasets.problems import Problem
from avsr.decoding.options import SearchOptions
from avsr.evaluation.conditions import Condition, plan_conditions
from avsr.evaluation.data import EvaluationData, read_evaluation_data
from avsr.evaluation.files import check_results, write_results
from avsr.evaluation.journal import Journal
from avsr.evaluation.noise_sources import build_noises
from avsr.evaluation.problems import find_problems
from avsr.evaluation.report import to_dict
from avsr.evaluation.run import Evaluation, computing_device, run_evaluation
from avsr.evaluation.settings import EvaluationSettings
from avsr.manifest import Utterance
from avsr.pretrained import LoadedModel, load_model, model_digest
from avsr.progress import Progress, Say, say_nothing, show_nothing
from avsr.recognition.hypotheses import resolved_search
from avsr.scoring.normalisers import describe_normalisers
from avsr.scoring.tables import results_table
from avsr.workers import Workers, open_workers


@dataclass(frozen=True, kw_only=True)
class EvaluationResults:
    """What an evaluation found.

    Attributes:
        values: everything, as the results file holds it: ``rows`` (one for each modality, rates and
            sound, with its word error rate), ``utterances``, ``settings``, ``versions``.
        problems: what is wrong with clips; none of these is left out of any count.
        files: those that were written, the results file first.
        n_drafted: tokens that drafts proposed.
        n_accepted: how many of them the language model chose too.
        failure: why the first clip could not be read, where none could; else empty.
    """

    values: dict[str, Any]
    problems: tuple[Problem, ...]
    files: tuple[Path, ...] = ()
    n_drafted: int = 0
    n_accepted: int = 0
    failure: str = ""

    @property
    def table(self) -> str:
        """Word error rates as a table for people."""
        return results_table(self.values["rows"]).render("text")


def evaluate(
    settings: EvaluationSettings, *, say: Say = say_nothing, progress: Progress = show_nothing
) -> EvaluationResults:
    """Measure word error rates of a model on a corpus, and write the results where asked for.

    Args:
        settings: what, and how.
        say: told in single lines what happens.
        progress: told how far the work is.

    Raises:
        UsageError: settings, data or outputs that cannot be used.
        ModelUnavailableError: the model cannot be loaded.
        InputError: results cannot be written, or a process died that was recognising.
    """
    corpus = read_evaluation_data(settings.source, settings.layout, settings.split, settings.limit)
    say(f"{settings.source}: {len(corpus.utterances)} clips")
    for note in corpus.notes:
        say(f"note: {note}")
    voices: Sequence[Utterance] = corpus.voices
    if settings.babble_from is not None:
        voices = read_evaluation_data(settings.babble_from, "jsonl", None).utterances
    if settings.output is not None:
        _check_outputs(settings, settings.output, corpus, voices)
    noises, described = build_noises(settings.noise_names, voices, settings.seed)
    loaded = load_model(
        settings.model,
        settings.device,
        allow_untrained_rate=settings.allow_untrained_rate,
        say=say,
        progress=progress,
    )
    conditions = plan_conditions(
        loaded, settings.modalities, settings.audio_rates, settings.video_rates, settings.sounds
    )
    routes = [condition.route for condition in conditions]
    search = resolved_search(loaded, settings.search, routes)
    for doubt in loaded.doubts_about(routes):
        say(f"warning: {doubt}")
    with ExitStack() as stack:
        workers = _workers(settings, stack, say)
        about = {
            "model": _about_model(loaded),
            "data": corpus.about,
            "babble_from": settings.babble_from.name if settings.babble_from else None,
            "noises": described,
            "seed": settings.seed,
            "decoding": _about_decoding(loaded, search, computing_device(loaded, workers)),
            "normalisers": describe_normalisers(),
        }
        journal = None
        if settings.output is not None:
            journal = _journal(settings.output, about, conditions)
            folder = settings.cache or journal.clips
        else:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="avsr-"))
            folder = settings.cache or Path(temporary)
        evaluation = run_evaluation(
            loaded,
            corpus.utterances,
            conditions,
            cache=ClipCache(folder),
            noises=noises,
            search=search,
            batch_size=settings.batch_size,
            workers=workers,
            journal=journal,
            progress=progress,
        )
    _say_speed(evaluation, say)
    problems = (*corpus.problems, *find_problems(evaluation.outcomes, loaded))
    values = to_dict(evaluation, about, problems=problems, notes=corpus.notes)
    files: list[Path] = []
    if settings.output is not None:
        files = write_results(settings.output, values, plots=settings.plots)
        for path in files:
            say(f"-> {path}")
    if journal is not None:
        journal.remove()
    failures = [outcome.failure for outcome in evaluation.outcomes]
    return EvaluationResults(
        values=values,
        problems=problems,
        files=tuple(files),
        n_drafted=evaluation.n_drafted,
        n_accepted=evaluation.n_accepted,
        failure=failures[0] or "" if all(failures) else "",
    )


def _workers(settings: EvaluationSettings, stack: ExitStack, say: Say) -> Workers | None:
    """Who does the work, until the stack is closed; None is this process."""
    cluster, jobs = settings.cluster, settings.jobs
    if cluster is None and jobs in (None, 1):
        return None
    return stack.enter_context(open_workers(jobs or 0, cluster, settings.device, say))


def _check_outputs(
    settings: EvaluationSettings,
    output: Path,
    corpus: EvaluationData,
    voices: Sequence[Utterance],
) -> None:
    """Find out before the work, not after it, that results cannot be written."""
    media = [path for clip in (*corpus.voices, *voices) for path in clip.files]
    labels = [path for path in (settings.source, settings.babble_from) if path is not None]
    check_results(output, [*labels, *media, *map(Path, settings.noise_names)], plots=settings.plots)


def _journal(output: Path, about: dict[str, Any], conditions: Sequence[Condition]) -> Journal:
    run = json.dumps([about, [str(row) for row in conditions]])
    digest = hashlib.sha256(run.encode()).hexdigest()
    return Journal(output.with_name(f"{output.name}.partial"), digest)


def _say_speed(evaluation: Evaluation, say: Say) -> None:
    n_rows = len(evaluation.conditions)
    n_readings = evaluation.n_recognised * n_rows
    say(
        f"{n_readings} readings ({evaluation.n_recognised} clips, {n_rows} rows) in "
        f"{evaluation.seconds:.1f} s, {n_readings / max(evaluation.seconds, 1e-9):.1f} a second"
    )


def _about_model(loaded: LoadedModel) -> dict[str, Any]:
    """Name, digest, and the frozen models that are not inside."""
    bases = [
        f"{part}: {base['name']}" + (f" at {base['revision']}" if base.get("revision") else "")
        for part, base in (loaded.model.config.base_models or {}).items()
    ]
    return {"name": loaded.name, "sha256": model_digest(loaded.location), "bases": bases}


def _about_decoding(loaded: LoadedModel, search: SearchOptions, device: str) -> dict[str, Any]:
    is_here = device == str(loaded.device)
    dtype = loaded.model.dtype if is_here else AvsrConfig.from_pretrained(loaded.location).dtype
    beams = "greedy" if search.num_beams == 1 else f"beam search, {search.num_beams} beams"
    if search.ctc_weight:
        beams += f", rescored by CTC with weight {search.ctc_weight:g}"
    return {
        "search": beams + (", drafts by ctc" if search.draft == "ctc" else ""),
        **asdict(search),
        "max_tokens_per_second": loaded.model.config.max_tokens_per_second,
        "device": device,
        "dtype": str(dtype).removeprefix("torch."),
    }

"""The files of a run: one after the other, or several at once on workers."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from avsr.commands.delivery import Outcome, attempt
from avsr.commands.events import Events
from avsr.commands.parallel import Engine, in_order, read_elsewhere
from avsr.commands.results import ResultFiles
from avsr.inputs import InputFile
from avsr.memory import release_memory
from avsr.workers import RayCluster, open_workers

if TYPE_CHECKING:
    from avsr.clips.sources import Source
    from avsr.recognition.request import Request
    from avsr.recognizer import Recognizer
    from avsr.rendering import SubtitleStyle

__all__ = ["elsewhere", "one_by_one", "without_existing"]


def one_by_one(
    recognizer: "Recognizer",
    request: "Request",
    style: "SubtitleStyle",
    files: Sequence[tuple[InputFile, ResultFiles]],
    events: Events,
    begun: "Source | None",
) -> Generator[Outcome, None, None]:
    """Read one file after the other, of which the first may have been begun."""
    read = partial(recognizer.transcribe, request=request)
    for number, (file, where) in enumerate(files, start=1):
        events.begin(file.path, number, len(files))
        yield attempt(read, file, where, style, partial(events.progress, file.path), begun)
        begun = None
        release_memory()


def elsewhere(
    engine: Engine,
    model: str,
    request: "Request",
    style: "SubtitleStyle",
    files: Sequence[tuple[InputFile, ResultFiles]],
    n_workers: int,
    cluster: RayCluster | None,
    events: Events,
) -> Generator[Outcome, None, None]:
    """Read files on workers; their outcomes in order, or over an archive as they come."""
    import torch

    told = partial(events.files, n_files=len(files))
    told(0)
    with open_workers(n_workers, cluster, engine.device, events.note) as workers:
        engine = replace(
            engine,
            device=workers.device(engine.device),
            threads=engine.threads or workers.share(torch.get_num_threads()),
        )
        done = read_elsewhere(engine, model, request, style, files, workers, told)
        # Over an archive, what is wrong is told at once, where the words are kept or say whose.
        at_once = cluster is not None and events.names_files
        for outcome in (one for _, one in done) if at_once else in_order(done):
            events.words(outcome.path, outcome.segments)
            yield outcome


def without_existing(
    files: Sequence[InputFile], results: Sequence[ResultFiles], events: Events
) -> tuple[list[InputFile], list[ResultFiles]]:
    """Leave out files whose results are all there."""
    left: list[tuple[InputFile, ResultFiles]] = []
    for file, where in zip(files, results, strict=True):
        if where.exist:
            events.note(f"{file.path}: skipped, its results are there")
        else:
            left.append((file, where))
    return [file for file, _ in left], [where for _, where in left]

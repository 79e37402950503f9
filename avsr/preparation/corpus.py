"""A corpus in its own layout, prepared: what ``avsr prepare`` and :func:`avsr.prepare` do."""

from dataclasses import dataclass, replace
from pathlib import Path

from avsr.datasets import read_dataset
from avsr.datasets.cutting import LONGEST_S
from avsr.datasets.detect import AUTO
from avsr.errors import UsageError
from avsr.preparation.prepare import MANIFEST, prepare_dataset
from avsr.preparation.report import PreparationReport
from avsr.progress import Progress, Say, say_nothing, show_nothing
from avsr.workers import RayCluster, available_cores, open_workers


@dataclass(frozen=True, kw_only=True)
class PreparationSettings:
    """What is to be prepared, and how.

    Attributes:
        source: folder of the corpus, or a label file.
        output: folder to fill.
        layout: of ``source``, as :func:`avsr.datasets.read_dataset` takes it.
        split: a part of the corpus; None is all.
        jobs: processes; None is one for each core, of the cluster if there is one.
        cluster: where these work; None is this machine. All its nodes must see the files.
        longest_s: long clips are cut at words to at most this many seconds.
        limit: only the first so many clips; None is all.
    """

    source: Path
    output: Path
    layout: str = AUTO
    split: str | None = None
    jobs: int | None = None
    cluster: RayCluster | None = None
    longest_s: float = LONGEST_S
    limit: int | None = None


def prepare(
    settings: PreparationSettings, *, say: Say = say_nothing, progress: Progress = show_nothing
) -> PreparationReport:
    """Decode a corpus and find the mouths once; what an earlier run has prepared is kept.

    Args:
        settings: what, and how.
        say: told in single lines what happens.
        progress: told how far the work is.

    Raises:
        UsageError: a source that cannot be read, or an output that may not be written.
        InputError: the folder cannot be written to.
    """
    if settings.output.exists() and not settings.output.is_dir():
        message = f"{settings.output}: is a file; give a folder"
        raise UsageError(message, settings=("output",))
    dataset = read_dataset(settings.source, settings.layout, settings.split)
    say(f"{settings.source}: layout {dataset.layout}, {len(dataset.clips)} clips")
    n_workers = settings.jobs or (0 if settings.cluster else available_cores())
    with open_workers(n_workers, settings.cluster, say=say) as workers:
        report = prepare_dataset(
            replace(dataset, clips=dataset.clips[: settings.limit]),
            settings.output,
            longest_s=settings.longest_s,
            workers=workers,
            progress=progress,
        )
    for line in report.lines():
        say(line)
    if report.n_kept:
        say(f"{report.n_kept} clips were prepared already")
    say(f"-> {settings.output / MANIFEST}")
    return report

"""Several readings of clips, decoded together where the same adapters serve them.

A language model reads its weights once for all rows of a batch: eight readings of one clip, by
different modalities and rates, take little longer than one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from avsr.decoding.options import SearchOptions
from avsr.model_parts.adapters import adapter_groups
from avsr.model_parts.streams import EncodedStreams, join_streams
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import Hypothesis, decode
from avsr.route import Route

__all__ = ["DecodingJob", "decode_jobs", "job_groups", "merged"]


@dataclass(frozen=True, kw_only=True)
class DecodingJob:
    """Clips that are to be read in one way.

    Attributes:
        streams: encoded sound and lips of the clips, those that the route uses.
        route: of all of them.
    """

    streams: EncodedStreams
    route: Route


def decode_jobs(
    loaded: LoadedModel,
    jobs: Sequence[DecodingJob],
    *,
    max_rows: int,
    search: SearchOptions | None = None,
) -> list[list[Hypothesis]]:
    """Let the language model read all jobs.

    Args:
        loaded: the model.
        jobs: any.
        max_rows: jobs are decoded together up to so many clips, counted once for each job; a
            larger job is decoded alone.
        search: as for :func:`avsr.recognition.hypotheses.decode`.

    Returns:
        For each job the hypotheses of its clips, the same as it gives alone.
    """
    found: dict[int, list[Hypothesis]] = {}
    for numbers in job_groups(loaded, jobs, max_rows):
        group = [jobs[number] for number in numbers]
        hypotheses = iter(decode(loaded, *merged(group), search))
        for number, job in zip(numbers, group, strict=True):
            found[number] = [next(hypotheses) for _ in range(job.streams.n_clips)]
    return [found[number] for number in range(len(jobs))]


def job_groups(
    loaded: LoadedModel, jobs: Sequence[DecodingJob], max_rows: int
) -> Iterator[list[int]]:
    """Numbers of jobs that the same adapters serve, and that are not too many rows."""
    for numbers in adapter_groups(loaded.model.config, [job.route for job in jobs]).values():
        group: list[int] = []
        for number in numbers:
            n_rows = sum(jobs[other].streams.n_clips for other in (*group, number))
            if group and n_rows > max_rows:
                yield group
                group = []
            group.append(number)
        yield group


def merged(jobs: Sequence[DecodingJob]) -> tuple[EncodedStreams, list[Route]]:
    """The clips of jobs in a row, each with its route."""
    routes = [job.route for job in jobs for _ in range(job.streams.n_clips)]
    return join_streams([job.streams for job in jobs]), routes

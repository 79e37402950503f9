"""Several readings of clips, decoded together where the same adapters serve them.

A language model reads its weights once for all rows of a batch: eight readings of one clip, by
different modalities and rates, take little longer than one. Shapes: B clips, T encoder frames,
W encoder width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from avsr.config import Modality
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import Encoded, Hypothesis, decode


@dataclass(frozen=True, kw_only=True)
class DecodingJob:
    """Clips that are to be read in one way.

    Attributes:
        modality: which streams are used.
        audio: encoded sound of the clips; None where it is not used.
        video: encoded lips of the same clips; None where they are not used.
        audio_rate: encoder frames per token; None is the finest trained.
        video_rate: likewise.
    """

    modality: Modality
    audio: Encoded | None = None
    video: Encoded | None = None
    audio_rate: int | None = None
    video_rate: int | None = None

    @property
    def n_clips(self) -> int:
        return max(len(one.features) for one in (self.audio, self.video) if one is not None)


def decode_jobs(
    loaded: LoadedModel, jobs: Sequence[DecodingJob], *, max_rows: int, **search: Any
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
        hypotheses = iter(decode(loaded, **merged(group), **search))
        for number, job in zip(numbers, group, strict=True):
            found[number] = [next(hypotheses) for _ in range(job.n_clips)]
    return [found[number] for number in range(len(jobs))]


def job_groups(
    loaded: LoadedModel, jobs: Sequence[DecodingJob], max_rows: int
) -> Iterator[list[int]]:
    """Numbers of jobs that the same adapters serve, and that are not too many rows."""
    by_adapters: dict[tuple[str, ...], list[int]] = {}
    for number, job in enumerate(jobs):
        untrained = loaded.allow_untrained_rate
        adapters = loaded.model.adapters_of(
            job.modality, job.audio_rate, job.video_rate, allow_untrained_rate=untrained
        )
        by_adapters.setdefault(adapters, []).append(number)
    for numbers in by_adapters.values():
        group: list[int] = []
        for number in numbers:
            n_rows = sum(jobs[other].n_clips for other in (*group, number))
            if group and n_rows > max_rows:
                yield group
                group = []
            group.append(number)
        yield group


def merged(jobs: Sequence[DecodingJob]) -> dict[str, Any]:
    """Arguments of :func:`avsr.recognition.hypotheses.decode` for the clips of jobs in a row."""
    if len(jobs) == 1:
        job = jobs[0]
        return {name: getattr(job, name) for name in DecodingJob.__dataclass_fields__}

    def each(name: str) -> list[Any]:
        return [getattr(job, name) for job in jobs for _ in range(job.n_clips)]

    return {
        "modality": each("modality"),
        "audio_rate": each("audio_rate"),
        "video_rate": each("video_rate"),
        "audio": _joined([job.audio for job in jobs], jobs),
        "video": _joined([job.video for job in jobs], jobs),
    }


def _joined(streams: Sequence[Encoded | None], jobs: Sequence[DecodingJob]) -> Encoded | None:
    """One stream of all jobs; clips that do not use it have no frames of it."""
    present = [stream for stream in streams if stream is not None]
    if not present:
        return None
    n_frames = max(stream.features.shape[1] for stream in present)
    features: list[Tensor] = []
    lengths: list[Tensor] = []
    for stream, job in zip(streams, jobs, strict=True):
        if stream is None:
            width = present[0].features.shape[2]
            features.append(present[0].features.new_zeros(job.n_clips, n_frames, width))
            lengths.append(present[0].frame_lengths.new_zeros(job.n_clips))
        else:
            missing = n_frames - stream.features.shape[1]
            features.append(functional.pad(stream.features, (0, 0, 0, missing)))
            lengths.append(stream.frame_lengths)
    return Encoded(features=torch.cat(features), frame_lengths=torch.cat(lengths))

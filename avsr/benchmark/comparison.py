"""Our way of reading against the published procedure, in pairs, so that every ratio is of one run.

Each pair reads the same clips with the same weights, once in each way and in alternating order,
close together in time: whatever else the machine does meets both.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from avsr.benchmark import measurement
from avsr.benchmark.clips import BenchClip
from avsr.benchmark.reference import published_reading
from avsr.decoding.options import SearchOptions
from avsr.pretrained import LoadedModel
from avsr.progress import Progress, show_nothing
from avsr.recognition.hypotheses import encode, generate
from avsr.recognition.joint_decoding import DecodingJob, job_groups, merged
from avsr.route import Route

_MOST_ROWS = 16  # texts that we decode together where clips are fewer
Texts = dict[Route, list[list[int]]]  # token ids of each clip, with the end


@dataclass(kw_only=True)
class Comparison:
    """What a comparison measured.

    Attributes:
        readings: the modalities and rates that each clip was read by.
        num_beams: of both.
        batch_size: clips that we read together; the reference reads one at a time.
        ours_s: seconds of each pair.
        reference_s: seconds of each pair.
        n_texts: texts compared.
        n_same: texts whose token ids are all the same.
    """

    readings: Sequence[Route]
    num_beams: int
    batch_size: int
    ours_s: list[float] = field(default_factory=list)
    reference_s: list[float] = field(default_factory=list)
    n_texts: int = 0
    n_same: int = 0

    @property
    def ratios(self) -> list[float]:
        """Speed-up of each pair."""
        return [a / b for a, b in zip(self.reference_s, self.ours_s, strict=True)]

    @property
    def speed_up(self) -> float:
        """Median speed-up of the pairs."""
        return statistics.median(self.ratios)


def compare(
    loaded: LoadedModel,
    clips: Sequence[BenchClip],
    readings: Sequence[Route],
    *,
    num_beams: int,
    batch_size: int,
    max_new_tokens: int | None = None,
    progress: Progress = show_nothing,
) -> Comparison:
    """Read all clips in both ways.

    Args:
        loaded: the model.
        clips: with sound and lips.
        readings: what each is read by.
        num_beams: beams of both searches.
        batch_size: clips of one pair, which we read together.
        max_new_tokens: bound on tokens; None: by each clip's duration.
        progress: told how far the work is.
    """
    result = Comparison(readings=tuple(readings), num_beams=num_beams, batch_size=batch_size)
    # the published search knows no CTC heads
    search = SearchOptions(num_beams=num_beams, ctc_weight=0.0, max_new_tokens=max_new_tokens)
    ordered = sorted(clips, key=lambda clip: -clip.duration_s)  # equal lengths batch without waste
    batches = [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]
    ours, reference = _Timed(read_batch, loaded), _Timed(read_as_published, loaded)
    for first in (ours, reference):  # what happens only once is part of neither
        first.run(batches[0][:1], readings[:1], search)
    for number, batch in enumerate(batches):
        progress("comparing", number, len(batches))
        for way in (ours, reference) if number % 2 else (reference, ours):
            way.run(batch, readings, search)
        result.ours_s.append(ours.seconds)
        result.reference_s.append(reference.seconds)
        for reading in readings:
            for a, b in zip(ours.texts[reading], reference.texts[reading], strict=True):
                result.n_texts += 1
                result.n_same += a == b
    progress("comparing", len(batches), len(batches))
    return result


def read_batch(
    loaded: LoadedModel,
    clips: Sequence[BenchClip],
    readings: Sequence[Route],
    search: SearchOptions,
) -> Texts:
    """Read clips together, encoders once for all readings, which are decoded together if few."""
    hears = any(reading.has_audio for reading in readings)
    sees = any(reading.has_video for reading in readings)
    streams = encode(
        loaded,
        waveforms=[clip.waveform for clip in clips] if hears else None,
        mouths=[clip.mouth for clip in clips] if sees else None,
    )
    jobs = [DecodingJob(streams=streams.of(reading), route=reading) for reading in readings]
    texts: Texts = {}
    for numbers in job_groups(loaded, jobs, max(len(clips), _MOST_ROWS)):
        found = generate(loaded, *merged([jobs[number] for number in numbers]), search)
        rows = zip(found.sequences.tolist(), found.lengths.tolist(), strict=True)
        ids = [row[:n_tokens] for row, n_tokens in rows]
        for place, number in enumerate(numbers):
            texts[readings[number]] = ids[place * len(clips) : (place + 1) * len(clips)]
    return texts


def read_as_published(
    loaded: LoadedModel,
    clips: Sequence[BenchClip],
    readings: Sequence[Route],
    search: SearchOptions,
) -> Texts:
    """Read clips one by one, everything anew for each reading."""
    return {
        reading: [
            published_reading(
                loaded, reading, waveform=clip.waveform, mouth=clip.mouth, search=search
            )
            for clip in clips
        ]
        for reading in readings
    }


class _Timed:
    """One of the two ways, with the texts and seconds of its last run."""

    def __init__(self, way: Callable[..., Texts], loaded: LoadedModel) -> None:
        self._way = partial(way, loaded)
        self._device: torch.device = loaded.device
        self.texts: Texts = {}
        self.seconds = 0.0

    def run(
        self, clips: Sequence[BenchClip], readings: Sequence[Route], search: SearchOptions
    ) -> None:
        def work() -> None:
            self.texts = self._way(clips, readings, search)

        self.seconds = measurement.seconds_of(work, self._device)

"""One model for many inputs at once: what waits together is read together.

Each input has a thread of its own, which hands pieces to the model when it has some. While the
model works, pieces of other inputs gather; whoever comes next takes all that can go with its own.
The results are those that each input gives alone.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from avsr.clips.clip import Clip
from avsr.pretrained import LoadedModel
from avsr.recognition.reading import MAX_BATCH, PieceGroup, Reading, read_groups
from avsr.recognition.request import Request
from avsr.recognition.sound_offset import OffsetMeter
from avsr.route import Route
from avsr.timings import Timings

GATHER_S = 0.03  # longest wait for pieces of other inputs that are being worked on


@dataclass(eq=False, kw_only=True)
class _Job:
    """Pieces of one input that wait for the model.

    Attributes:
        group: the pieces.
        route: by what they are read.
        request: how, without what does not concern the reading.
        timings: receives the stages of the work, those of a batch in full.
        readings: what was read; None before.
        error: why nothing could be read.
    """

    group: PieceGroup
    route: Route
    request: Request
    timings: Timings
    readings: list[Reading] | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has been read, or cannot be."""
        return self.readings is not None or self.error is not None


@dataclass(eq=False)
class JointReader:
    """Lets threads share a model.

    Attributes:
        loaded: the model.
        n_batches: batches that were read.
        n_pieces: pieces in all of them.
    """

    loaded: LoadedModel
    n_batches: int = 0
    n_pieces: int = 0
    _is_busy: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[_Job] = field(default_factory=list)
    _n_inputs: int = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While an input is worked on, others wait a moment for its pieces."""
        with self._changed:
            self._n_inputs += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_inputs -= 1
                self._changed.notify_all()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have the model alone, for work that is not reading."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_busy)
            self._is_busy = True
        try:
            yield
        finally:
            self._end_turn()

    def read(
        self,
        pieces: Sequence[Clip],
        route: Route,
        request: Request,
        timings: Timings,
        meter: OffsetMeter | None = None,
    ) -> list[Reading]:
        """Read pieces of one input by one route, with those of others where these fit.

        Args:
            pieces: what is read.
            route: by what.
            request: how.
            timings: receives the stages of the work.
            meter: of the input, see :class:`~avsr.recognition.reading.PieceGroup`.

        Raises:
            InputError: if even a single piece does not fit into memory.
        """
        readings: list[Reading] = []
        while len(readings) < len(pieces):
            clips = pieces[len(readings) : len(readings) + MAX_BATCH]
            job = _Job(
                group=PieceGroup(clips=clips, meter=meter),
                route=route,
                request=_without_input(request),
                timings=timings,
            )
            readings += self._read_job(job)
        return readings

    def _read_job(self, job: _Job) -> list[Reading]:
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()
            self._changed.wait_for(lambda: job.is_done or self._is_enough(), GATHER_S)
            self._changed.wait_for(lambda: job.is_done or not self._is_busy)
            is_mine = not job.is_done
            self._is_busy |= is_mine
        if is_mine:
            try:
                self._read_with_others(job)
            finally:
                self._end_turn(job)
        if job.error is not None:
            raise job.error
        assert job.readings is not None  # that of a job without error
        return job.readings

    def _end_turn(self, own: _Job | None = None) -> None:
        """Let the next one have the model, and those whose pieces have been read go on."""
        with self._changed:
            self._is_busy = False
            self._waiting = [job for job in self._waiting if not job.is_done and job is not own]
            self._changed.notify_all()

    def _is_enough(self) -> bool:
        """Whether nothing that could still come would make the next batch better."""
        n_pieces = sum(len(job.group.clips) for job in self._waiting)
        return n_pieces >= MAX_BATCH or len(self._waiting) >= self._n_inputs

    def _read_with_others(self, job: _Job) -> None:
        """Read a job and the oldest of those that fit; an error of the whole is nobody's."""
        batch = self._companions(job)
        try:
            self._read_batch(batch)
        except Exception:
            for one in batch:
                try:
                    self._read_batch([one])
                except Exception as error:  # raised again in the thread it belongs to
                    one.error = error

    def _companions(self, job: _Job) -> list[_Job]:
        with self._changed:
            waiting = list(self._waiting)
        batch, n_pieces = [job], len(job.group.clips)
        for other in waiting:
            fits = (other.route, other.request) == (job.route, job.request)
            if other is not job and fits and n_pieces + len(other.group.clips) <= MAX_BATCH:
                batch.append(other)
                n_pieces += len(other.group.clips)
        return batch

    def _read_batch(self, jobs: Sequence[_Job]) -> None:
        timings = Timings()
        first = jobs[0]
        groups = [job.group for job in jobs]
        found = read_groups(self.loaded, groups, first.route, first.request, timings)
        self.n_batches += 1
        for job, readings in zip(jobs, found, strict=True):
            self.n_pieces += len(readings)
            for stage, seconds in timings.seconds.items():
                job.timings.add(stage, seconds)
            job.readings = readings


def _without_input(request: Request) -> Request:
    """What concerns the reading: the same for inputs of which other parts are wanted."""
    return replace(
        request,
        start=None,
        end=None,
        keep_unsure=False,
        face="speaking",
        roi=None,
        audio_track=None,
    )

"""One model for many inputs at once: what waits together is read together.

Each input has a thread of its own, which hands its sound to the voice detector, and its pieces to
the model, together with those of others (see :mod:`avsr.recognition.together`). The results are
those that each input gives alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from avsr.clips.clip import Clip
from avsr.pretrained import LoadedModel
from avsr.recognition.reading import MAX_BATCH, PieceGroup, Reading, read_groups
from avsr.recognition.request import Request
from avsr.recognition.sound_offset import OffsetMeter
from avsr.recognition.together import Together
from avsr.route import Route
from avsr.timings import Timings
from avsr_frontends.activity import voices_in


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Pieces of one input, by what and how they are read, and who wants to know the time."""

    group: PieceGroup
    route: Route
    request: Request
    timings: Timings


class JointReader:
    """Lets threads share a model.

    Attributes:
        loaded: the model.
        n_batches: batches that were read.
        n_pieces: pieces in all of them.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.n_batches = 0
        self.n_pieces = 0
        self._reading = Together(self._read_batch, MAX_BATCH)
        self._listening = Together(voices_in, MAX_BATCH)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While an input is worked on, others wait a moment for what it brings."""
        with self._reading.at_work(), self._listening.at_work():
            yield

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have the model alone, for work that is not reading."""
        with self._reading.turn():
            yield

    def listen(self, waveform: np.ndarray) -> np.ndarray:
        """How surely a voice is heard, see :func:`avsr_frontends.activity.voice_probabilities`."""
        return self._listening.do(waveform)

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
            timings: receives the stages of the work, those of a batch in full.
            meter: of the input, see :class:`~avsr.recognition.reading.PieceGroup`.

        Raises:
            InputError: if even a single piece does not fit into memory.
        """
        request = _without_input(request)
        readings: list[Reading] = []
        while len(readings) < len(pieces):
            clips = pieces[len(readings) : len(readings) + MAX_BATCH]
            group = PieceGroup(clips=clips, meter=meter)
            asked = _Asked(group=group, route=route, request=request, timings=timings)
            readings += self._reading.do(asked, kind=(route, request), size=len(clips))
        return readings

    def _read_batch(self, asked: Sequence[_Asked]) -> list[list[Reading]]:
        timings, first = Timings(), asked[0]
        groups = [one.group for one in asked]
        found = read_groups(self.loaded, groups, first.route, first.request, timings)
        for one in asked:
            for stage, seconds in timings.seconds.items():
                one.timings.add(stage, seconds)
        self.n_batches += 1
        self.n_pieces += sum(map(len, found))
        return found


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

"""A face tracker that knows where its time goes."""

from collections.abc import Iterable

import numpy as np

from avsr.timings import Timings
from avsr_frontends.landmarks import FaceTrack, FaceTracker, Roster

__all__ = ["MouthTracker"]


class MouthTracker(FaceTracker):
    """A face tracker that counts the time its frames take to decode.

    As any face tracker it belongs to one thread and must be closed.

    Attributes:
        timings: where the time goes.
    """

    def __init__(self, timings: Timings | None = None) -> None:
        self.timings = timings or Timings()
        with self.timings.measure("imports"):
            super().__init__()

    def track(self, frames: Iterable[np.ndarray]) -> FaceTrack:
        return super().track(self.timings.measure_items("decode", frames))

    def track_faces(
        self, frames: Iterable[np.ndarray], roster: Roster | None = None
    ) -> list[FaceTrack]:
        return super().track_faces(self.timings.measure_items("decode", frames), roster)

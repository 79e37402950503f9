"""A face tracker that remembers where the face was, for drawing it on the film."""

from collections.abc import Iterable

import numpy as np

from avsr.clips.mouth_tracker import MouthTracker
from avsr_frontends.landmarks import FaceTrack


class FaceWatch(MouthTracker):
    """A mouth tracker that keeps the whole of its last track.

    As any face tracker it belongs to one thread and must be closed.

    Attributes:
        last: the track made last, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: FaceTrack | None = None

    def track(self, frames: Iterable[np.ndarray]) -> FaceTrack:
        self.last = None
        self.last = super().track(frames)
        return self.last

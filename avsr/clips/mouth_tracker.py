"""A face tracker that knows where its time goes."""

from collections.abc import Iterable

import numpy as np

from avsr.timings import Timings
from avsr_frontends.landmarks import FaceTrack, FaceTracker, Roster, TrackReport, joint_report

__all__ = ["MouthTracker"]


class MouthTracker(FaceTracker):
    """A face tracker that counts the time its frames take to decode, and keeps its last report.

    As any face tracker it belongs to one thread and must be closed.

    Attributes:
        timings: where the time goes.
        report: on the track made last.
    """

    def __init__(self, timings: Timings | None = None) -> None:
        self.timings = timings or Timings()
        with self.timings.measure("imports"):
            super().__init__()
        self.report = TrackReport(n_frames=0, coverage=0.0, face_width_px=0.0)

    def track(self, frames: Iterable[np.ndarray]) -> FaceTrack:
        track = super().track(self.timings.measure_items("decode", frames))
        self.report = track.report
        return track

    def track_faces(
        self, frames: Iterable[np.ndarray], roster: Roster | None = None
    ) -> list[FaceTrack]:
        tracks = super().track_faces(self.timings.measure_items("decode", frames), roster)
        self.report = joint_report(tracks)
        return tracks

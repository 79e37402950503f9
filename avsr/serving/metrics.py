"""Numbers for monitoring, as Prometheus reads them; nothing about who said what."""

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from avsr.recognition.joint_reading import JointReader
from avsr.serving.line import Line
from avsr.serving.live_room import LiveRoom

__all__ = ["Metrics"]

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250)


class Metrics:
    """Counts of one server.

    Attributes:
        requests: transcriptions asked for, by the status of the answer.
        seconds: from the whole request to the answer, of those that were answered.
        speech: seconds of recordings that were transcribed.
        live: live connections that have ended, by the status that they ended with.
    """

    def __init__(self, line: Line, live: LiveRoom, joint: JointReader) -> None:
        """Watch a line, live connections and what reads for both."""
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "avsr_requests",
            "Transcriptions asked for, by HTTP status",
            ["status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "avsr_request_seconds",
            "Seconds from the whole request to the answer",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.speech = Counter(
            "avsr_speech_seconds", "Seconds of recordings transcribed", registry=self._registry
        )
        self.live = Counter(
            "avsr_live",
            "Live connections that ended, by status",
            ["status"],
            registry=self._registry,
        )
        inside = Gauge("avsr_requests_inside", "Requests in the line", registry=self._registry)
        inside.set_function(lambda: line.n_inside)
        working = Gauge("avsr_requests_working", "Requests at work", registry=self._registry)
        working.set_function(lambda: line.n_working)
        sessions = Gauge("avsr_live_now", "Live connections", registry=self._registry)
        sessions.set_function(lambda: live.n_inside)
        self._registry.register(_Batches(joint))
        ProcessCollector(registry=self._registry)  # memory, open files, seconds of CPU

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)


class _Batches(Collector):
    """How well requests are read together: pieces over batches."""

    def __init__(self, joint: JointReader) -> None:
        self._joint = joint

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield both counts."""
        joint = self._joint
        yield CounterMetricFamily("avsr_batches", "Batches the model read", value=joint.n_batches)
        yield CounterMetricFamily("avsr_pieces", "Pieces of speech in them", value=joint.n_pieces)

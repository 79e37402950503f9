"""What the page and the API ask of the demo, session by session."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avsr import Recognizer, Route
from avsr.route import Modality
from avsr_demo.differences import word_errors
from avsr_demo.explore import Explorer
from avsr_demo.findings import Findings, Question
from avsr_demo.limits import Limits, RecordingError
from avsr_demo.storage import Storage
from avsr_demo.workers import Waiting, Workers

_MODALITIES: tuple[Modality, ...] = ("audio", "video", "av")


@dataclass(frozen=True, kw_only=True)
class Service:
    """Answers questions of many sessions, as many at once as there are workers.

    Attributes:
        recognizer: the loaded model, shared by all workers.
        limits: what is refused.
        storage: files of the sessions.
        workers: threads that read.
    """

    recognizer: Recognizer
    limits: Limits
    storage: Storage
    workers: Workers
    _newest: dict[str, object] = field(default_factory=dict)  # by session, its last question

    def explore(self, session: str, question: Question) -> Iterator[Findings | Waiting]:
        """Read a recording for a session; its earlier results are deleted.

        A session has one question at a time: what an earlier one still yields ends.

        Raises:
            RecordingError: if the recording is refused, or too many visitors wait.
        """
        self.storage.hold(session, question.path)
        explorer = Explorer(recognizer=self.recognizer, limits=self.limits)
        asked = object()
        self._newest[session] = asked
        yield from self.workers.stream(
            lambda watch: explorer.explore(
                question, watch, lambda: self.storage.new_results(session)
            ),
            wanted=lambda: self._newest.get(session) is asked,
        )

    def release(self, session: str) -> None:
        """Forget a session: what it asked for ends, and its files are deleted."""
        self._newest.pop(session, None)
        self.storage.release(session)

    def answer(self, session: str, question: Question) -> dict[str, Any]:
        """Read a recording and give everything as plain values.

        Raises:
            RecordingError: if the recording is refused.
        """
        *_, findings = self.explore(session, question)
        assert isinstance(findings, Findings)
        return _plain_values(findings)

    def close(self) -> None:
        """Wait for running work, then delete all files."""
        self.workers.close()
        self.storage.close()


def _plain_values(findings: Findings) -> dict[str, Any]:
    readings: dict[str, Any] = {}
    for modality in _MODALITIES:
        reading = findings.readings[modality]
        if reading.result is None:
            readings[modality] = {"text": None, "problem": reading.problem}
            continue
        values = reading.result.to_dict()
        values.pop("file")
        errors = word_errors(findings.question.reference, reading.result.text)
        readings[modality] = values | {"wer": None if errors is None else round(errors.wer, 4)}
    best = findings.best
    return {
        "text": None if best is None else best.text,
        "modality": None if best is None else best.modality,
        "duration": round(findings.duration_s, 3),
        "snr_db": findings.snr_db,
        "readings": readings,
        "rates": [
            {
                "audio_rate": row.route.audio_rate,
                "video_rate": row.route.video_rate,
                "text": row.text,
                "tokens": row.n_tokens,
                "milliseconds": round(1000 * row.seconds, 1),
                "real_time_factor": round(row.real_time_factor, 3),
                "wer": None if row.wer is None else round(row.wer, 4),
            }
            for row in findings.rates
        ],
        "warnings": [*findings.doubts, *findings.warnings],
    }


def question_of(
    path: str | None,
    reference: str,
    snr_db: float | None = None,
    audio_rate: float | None = None,
    video_rate: float | None = None,
) -> Question:
    """A question from the values of controls.

    Raises:
        RecordingError: if there is no recording, or the reference is longer than anything said
            within the limits.
    """
    if path is None:
        raise RecordingError("Choose a sample, upload a recording, or record yourself first.")
    if len(reference or "") > 5000:
        raise RecordingError("The text of what is said is too long: give at most 5000 characters.")
    return Question(
        path=Path(path),
        route=Route(
            modality="av",
            audio_rate=None if audio_rate is None else int(audio_rate),
            video_rate=None if video_rate is None else int(video_rate),
        ),
        snr_db=snr_db,
        reference=reference or "",
    )

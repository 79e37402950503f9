"""What the demo finds out about one recording; grows while it is read."""

from dataclasses import dataclass, field
from pathlib import Path

from avsr import Route, TranscriptionResult
from avsr.recognition.readability import readability_doubts
from avsr.route import Modality
from avsr_demo.samples import Sample
from avsr_frontends.landmarks import TrackReport
from avsr_frontends.media import MediaInfo


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a visitor asks for.

    Attributes:
        path: the recording.
        route: the rates at which sound and lips are read; None is the finest trained.
        snr_db: at which ratio of the voice to it babble is mixed in; None for no babble.
        reference: what is said, if the visitor knows it.
    """

    path: Path
    route: Route
    snr_db: float | None = None
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What came of one way of reading.

    Attributes:
        result: the transcription, or None where this way is closed.
        problem: why it is closed, as a sentence; empty where it is not.
        seconds: from arrays to text.
    """

    result: TranscriptionResult | None = None
    problem: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RateRow:
    """One row of the table of compression rates.

    Attributes:
        route: modality and rates.
        text: what was read.
        n_tokens: positions of the language model that the streams take.
        seconds: from arrays to text.
        real_time_factor: those seconds for each second of the recording.
        wer: fraction, or None without a reference.
        chosen: whether the readings above use these rates.
    """

    route: Route
    text: str
    n_tokens: int
    seconds: float
    real_time_factor: float
    wer: float | None
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Films:
    """Files for the page.

    Attributes:
        player: film with the face marked and the sound as it was recognised.
        size: width and height of its picture in pixels; None without a picture.
        captions: WebVTT in which each word lights up as it is said.
        mouth: the mouth crops as a silent film, or None without a face.
        downloads: the best reading as files, by format.
    """

    player: Path
    size: tuple[int, int] | None
    captions: str
    mouth: Path | None
    downloads: dict[str, Path]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is known so far.

    Attributes:
        question: what was asked.
        stage: what is being done now; empty when all is done.
        info: what the file's headers say.
        duration_s: length of the recording.
        sample: the sample that the recording is, or None.
        snr_db: ratio of the voice to the babble that was mixed in, or None.
        readings: by modality, those that are finished.
        face: how well the face was followed; None before it was looked for or without a picture.
        rates: the table, complete or empty.
        films: files, once they are written.
        warnings: sentences on what may have harmed the readings.
        seconds: since the question was taken up.
    """

    question: Question
    stage: str
    info: MediaInfo
    duration_s: float = 0.0
    sample: Sample | None = None
    snr_db: float | None = None
    readings: dict[Modality, Reading] = field(default_factory=dict)
    face: TrackReport | None = None
    rates: tuple[RateRow, ...] = ()
    films: Films | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def best(self) -> TranscriptionResult | None:
        """The reading from most evidence: both, else sound, else lips."""
        results = (self.readings.get(name) for name in ("av", "audio", "video"))
        return next((reading.result for reading in results if reading and reading.result), None)

    @property
    def doubts(self) -> list[str]:
        """Why the best reading as a whole is not to be trusted, as sentences."""
        best = self.best
        return [] if best is None else readability_doubts(best.readability)

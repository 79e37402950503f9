"""What a transcription gives back, and its plain values for JSON."""

import math
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from avsr.errors import printable
from avsr.route import Modality, Route
from avsr_frontends.landmarks import TrackReport

__all__ = ["LANGUAGE", "Segment", "TranscriptionResult", "Word"]

LANGUAGE = "en"  # of every model that this package trains or converts


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word of a transcription and when it was said.

    Attributes:
        word: as in the segment's text.
        start: seconds from the start of the file.
        end: seconds from the start of the file.
        probability: geometric mean probability of its tokens, 0 to 1.
    """

    word: str
    start: float
    end: float
    probability: float

    def moved(self, seconds: float) -> "Word":
        """The same word, so many seconds later."""
        return replace(self, start=self.start + seconds, end=self.end + seconds)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "word": self.word,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "probability": round(self.probability, 4),
        }


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of the file that was transcribed as one piece.

    Attributes:
        start: seconds from the start of the file.
        end: seconds from the start of the file.
        text: the words, possibly none.
        avg_logprob: mean natural log-probability of the text's tokens, at most 0.
        no_speech_prob: 0 to 1, how little the sound and the lips show of speech.
        words: the words with their times; empty where times are not available.
        modality: what this segment was read from; None where that is the whole result's.
        face: number of the person who speaks, where there are several faces.
        route: where it was chosen for this segment; else the whole result's.
        tokens: ids of the text's tokens.
        sound_share: 0 to 1, how far the sound rather than the lips carried the text; None where
            that was not judged.
        readability: 0 to 1, how probable it is that the model reads what was said here; None where
            that cannot be judged.
    """

    start: float
    end: float
    text: str
    avg_logprob: float
    no_speech_prob: float = 0.0
    words: tuple[Word, ...] = ()
    modality: Modality | None = None
    face: int | None = None
    route: Route | None = None
    tokens: tuple[int, ...] = ()
    sound_share: float | None = None
    readability: float | None = None

    @property
    def span(self) -> tuple[float, float]:
        """From the first word to the last, seconds; all of it where word times are not known."""
        if not self.words:
            return self.start, self.end
        return self.words[0].start, max(word.end for word in self.words)

    @property
    def rates(self) -> Route | None:
        """Compression, where it was chosen for this segment."""
        return self.route

    @property
    def confidence(self) -> float:
        """Geometric mean probability of the tokens, 0 to 1."""
        return math.exp(self.avg_logprob)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, under the keys that openai-whisper uses where it has them.

        ``start`` and ``end`` span the words; ``seek`` is the start of the piece that they were
        read from, in hundredths of a second.
        """
        start, end = self.span
        written = self.text.encode(errors="replace")
        values = {
            "seek": round(100 * self.start),
            "start": round(start, 3),
            "end": round(end, 3),
            "text": self.text,
            "tokens": list(self.tokens),
            "temperature": 0.0,
            "avg_logprob": round(self.avg_logprob, 4),
            "compression_ratio": round(len(written) / len(zlib.compress(written)), 4),
            "no_speech_prob": round(self.no_speech_prob, 4),
            "words": [word.to_dict() for word in self.words],
        }
        if self.modality is not None:
            values["modality"] = self.modality
        if self.sound_share is not None:
            values["sound_share"] = round(self.sound_share, 4)
        if self.readability is not None:
            values["readability"] = round(self.readability, 4)
        if self.face is not None:
            values["face"] = self.face
        if self.route is not None:
            rates = {"audio_rate": self.route.audio_rate, "video_rate": self.route.video_rate}
            values |= rates
        return values


@dataclass(frozen=True, kw_only=True)
class TranscriptionResult:
    """The words spoken in one input, and how they were found.

    Attributes:
        text: the words; empty where there is no speech.
        segments: the pieces it was transcribed in, in order.
        route: modality and compression that were used.
        reason: why that was used.
        duration_s: length of the input in seconds.
        face: how well the face was followed, or None where no picture was looked at.
        sound_offset_s: seconds by which the sound is later than the lips (earlier where it is
            negative); None where that is not evident.
        readability: 0 to 1, how probable it is that the model reads what was said (one that learned
            few sentences turns all others into those); None where that cannot be judged.
        warnings: one sentence for each thing that may have harmed the result.
        timings: seconds for each stage of the work.
        model: name of the model.
        path: the input file, or None for an array.
    """

    text: str
    segments: tuple[Segment, ...]
    route: Route
    reason: str
    duration_s: float
    face: TrackReport | None = None
    sound_offset_s: float | None = None
    readability: float | None = None
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    model: str = ""
    path: Path | None = None

    @property
    def modality(self) -> Modality:
        """What was used."""
        return self.route.modality

    @property
    def rates(self) -> Route:
        """Compression used: ``rates.audio`` and ``rates.video``, None for what was not used."""
        return self.route

    @property
    def confidence(self) -> float | None:
        """Confidence over all segments, weighted by their length; None where there is none."""
        total_s = sum(segment.end - segment.start for segment in self.segments)
        if total_s <= 0:
            return None
        weighted = sum(
            segment.avg_logprob * (segment.end - segment.start) for segment in self.segments
        )
        return math.exp(weighted / total_s)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the usual ``text`` and ``segments``, and how they came about."""
        face = None
        if self.face is not None:
            face = {
                "n_frames": self.face.n_frames,
                "coverage": round(self.face.coverage, 4),
                "face_width_px": round(self.face.face_width_px, 1),
                "gaps": [[round(start, 2), round(end, 2)] for start, end in self.face.gaps],
            }
        confidence = self.confidence
        return {
            "text": self.text,
            "segments": [
                {"id": index, **segment.to_dict()}
                for index, segment in enumerate(sorted(self.segments, key=lambda one: one.span))
            ],
            "language": LANGUAGE,
            "file": None if self.path is None else printable(self.path),
            "duration": round(self.duration_s, 3),
            "model": self.model,
            "modality": self.modality,
            "reason": self.reason,
            "audio_rate": self.route.audio_rate,
            "video_rate": self.route.video_rate,
            "confidence": None if confidence is None else round(confidence, 4),
            "face": face,
            "sound_offset": None if self.sound_offset_s is None else round(self.sound_offset_s, 2),
            "readability": None if self.readability is None else round(self.readability, 4),
            "warnings": list(self.warnings),
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
        }

"""What a transcription gives back, and how it is written as text or JSON."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avsr.config import Modality
from avsr_frontends.landmarks import TrackReport


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Encoder frames per language-model token.

    Attributes:
        audio: for sound, or None where sound was not used.
        video: for lips, or None where lips were not used.
    """

    audio: int | None
    video: int | None

    def __str__(self) -> str:
        """For example ``audio rate 4, video rate 2``."""
        named = (("audio", self.audio), ("video", self.video))
        return ", ".join(f"{name} rate {rate}" for name, rate in named if rate is not None)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of the file that was transcribed as one piece.

    Attributes:
        start: seconds from the start of the file.
        end: seconds from the start of the file.
        text: the words, possibly none.
        avg_logprob: mean natural log-probability of the text's tokens, at most 0.
    """

    start: float
    end: float
    text: str
    avg_logprob: float

    @property
    def confidence(self) -> float:
        """Geometric mean probability of the tokens, 0 to 1."""
        return math.exp(self.avg_logprob)


@dataclass(frozen=True, kw_only=True)
class TranscriptionResult:
    """The words spoken in one input, and how they were found.

    Attributes:
        text: the words; empty where there is no speech.
        segments: the pieces it was transcribed in, in order.
        modality: what was used.
        reason: why that was used.
        rates: compression used.
        duration_s: length of the input in seconds.
        face: how well the face was followed, or None where no picture was looked at.
        warnings: one sentence for each thing that may have harmed the result.
        timings: seconds for each stage of the work.
        model: name of the model.
        path: the input file, or None for an array.
    """

    text: str
    segments: tuple[Segment, ...]
    modality: Modality
    reason: str
    rates: Rates
    duration_s: float
    face: TrackReport | None = None
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    model: str = ""
    path: Path | None = None

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
                {
                    "id": index,
                    "start": round(segment.start, 3),
                    "end": round(segment.end, 3),
                    "text": segment.text,
                    "avg_logprob": round(segment.avg_logprob, 4),
                }
                for index, segment in enumerate(self.segments)
            ],
            "file": None if self.path is None else str(self.path),
            "duration": round(self.duration_s, 3),
            "model": self.model,
            "modality": self.modality,
            "reason": self.reason,
            "audio_rate": self.rates.audio,
            "video_rate": self.rates.video,
            "confidence": None if confidence is None else round(confidence, 4),
            "face": face,
            "warnings": list(self.warnings),
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
        }

    def render(self, output_format: str) -> str:
        """The content of a result file, ending in a newline.

        Args:
            output_format: ``"txt"`` or ``"json"``.
        """
        if output_format == "json":
            return json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"
        return self.text + "\n"

"""A transcription as OpenAI's clients read it: whole, or as events while it is made."""

import json
import math
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from avsr.rendering import render
from avsr.serving.questions import Question
from avsr.serving.refusals import Refusal
from avsr.transcription import Segment, TranscriptionResult

__all__ = ["Deltas", "answer", "error_event"]

_LANGUAGE_NAME = "english"  # what OpenAI calls it in a verbose answer
_TEXT_FORMATS = {
    "text": ("txt", "text/plain"),
    "srt": ("srt", "text/plain"),
    "vtt": ("vtt", "text/vtt"),
}
_BESIDE = ("model", "modality", "reason", "audio_rate", "video_rate", "confidence", "warnings")


def answer(result: TranscriptionResult, question: Question) -> Response:
    """The response that was asked for."""
    if question.response_format in _TEXT_FORMATS:
        output_format, media_type = _TEXT_FORMATS[question.response_format]
        return PlainTextResponse(render(result, output_format), media_type=media_type)
    values = _values(result, question)
    if question.response_format == "verbose_json":
        return JSONResponse(_verbose(values, question))
    usage = {"type": "duration", "seconds": math.ceil(values["duration"])}
    return JSONResponse({"text": result.text, "usage": usage} | _beside(values))


def _values(result: TranscriptionResult, question: Question) -> dict[str, Any]:
    values = result.to_dict()
    values["warnings"] = [*values["warnings"], *question.notes]
    del values["file"]
    return values


def _beside(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _BESIDE}


def _verbose(values: dict[str, Any], question: Question) -> dict[str, Any]:
    words = [word for segment in values["segments"] for word in segment.pop("words")]
    usage = {"type": "duration", "seconds": math.ceil(values["duration"])}
    verbose = {"task": "transcribe"} | values | {"language": _LANGUAGE_NAME, "usage": usage}
    if "word" in question.granularities:
        verbose["words"] = words
    if "segment" not in question.granularities:
        del verbose["segments"]
    return verbose


class Deltas:
    """The events of one answer; the deltas put together are its text."""

    def __init__(self) -> None:
        self._sent = ""

    def of(self, segments: Sequence[Segment]) -> str:
        """What was said since the last time, as events."""
        events = ""
        for segment in segments:
            if segment.text:
                delta = f" {segment.text}" if self._sent else segment.text
                start, end = segment.span
                events += self._delta(delta, {"start": round(start, 3), "end": round(end, 3)})
        return events

    def done(self, result: TranscriptionResult, question: Question) -> str:
        """The last events: what has not been sent yet, and the whole."""
        events = "" if self._sent else self._delta(result.text, {})
        values = _values(result, question)
        done = {"type": "transcript.text.done", "text": result.text} | _beside(values)
        return events + _event(done)

    def _delta(self, delta: str, times: dict[str, float]) -> str:
        self._sent += delta
        return _event({"type": "transcript.text.delta", "delta": delta} | times)


def error_event(refusal: Refusal) -> str:
    """What ends a stream that cannot go on."""
    return _event(refusal.to_dict())


def _event(values: dict[str, Any]) -> str:
    return f"data: {json.dumps(values, ensure_ascii=False)}\n\n"

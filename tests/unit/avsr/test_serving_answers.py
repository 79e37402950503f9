"""Answers in OpenAI's forms, whole and as events."""

import json
from dataclasses import replace
from typing import Any

import pytest

from avsr.recognition.request import Request
from avsr.route import Route
from avsr.serving.answers import Deltas, answer, error_event
from avsr.serving.questions import Question
from avsr.serving.refusals import Refusal
from avsr.transcription import Segment, TranscriptionResult, Word


def _segment(start: float, text: str) -> Segment:
    words = tuple(
        Word(word=word, start=start + n, end=start + n + 0.5, probability=0.9)
        for n, word in enumerate(text.split())
    )
    return Segment(start=start, end=start + 3, text=text, avg_logprob=-0.1, words=words)


RESULT = TranscriptionResult(
    text="bin blue",
    segments=(_segment(0.0, "bin"), _segment(4.0, "blue")),
    route=Route(modality="audio", audio_rate=4),
    reason="there is no picture",
    duration_s=7.2,
    model="tiny",
    warnings=("noise",),
)
EMPTY = replace(RESULT, text="", segments=())


def _body(result: TranscriptionResult, **question: Any) -> Any:
    return json.loads(bytes(answer(result, Question(request=Request(), **question)).body))


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event]


def test_json() -> None:
    assert _body(RESULT, notes=("unused",)) == {
        "text": "bin blue",
        "usage": {"type": "duration", "seconds": 8},
        "model": "tiny",
        "modality": "audio",
        "reason": "there is no picture",
        "audio_rate": 4,
        "video_rate": None,
        "confidence": pytest.approx(0.9048),
        "warnings": ["noise", "unused"],
    }


def test_verbose() -> None:
    both = _body(RESULT, response_format="verbose_json", granularities=("word", "segment"))
    assert (both["task"], both["language"], both["duration"]) == ("transcribe", "english", 7.2)
    assert [word["word"] for word in both["words"]] == ["bin", "blue"]
    assert all("words" not in segment for segment in both["segments"])
    assert "file" not in both
    segments = _body(RESULT, response_format="verbose_json")
    assert "words" not in segments
    assert len(segments["segments"]) == 2


@pytest.mark.parametrize(
    ("response_format", "media_type"),
    [("text", "text/plain"), ("srt", "text/plain"), ("vtt", "text/vtt")],
)
def test_nothing_said(response_format: Any, media_type: str) -> None:
    response = answer(EMPTY, Question(request=Request(), response_format=response_format))
    assert response.media_type == media_type
    assert not set(bytes(response.body).decode()) & set("0123456789")
    assert _body(EMPTY)["text"] == ""


def test_the_deltas_are_the_text() -> None:
    deltas, question = Deltas(), Question(request=Request())
    events = _events(
        deltas.of(RESULT.segments[:1]) + deltas.of(()) + deltas.of(RESULT.segments[1:])
    )
    assert [event["delta"] for event in events] == ["bin", " blue"]
    assert [event["start"] for event in events] == [0.0, 4.0]
    (done,) = _events(deltas.done(RESULT, question))
    assert (done["type"], done["text"]) == ("transcript.text.done", "bin blue")
    assert done["modality"] == "audio"


def test_what_comes_only_at_the_end_is_one_delta() -> None:
    faces = replace(RESULT, text="face 1: bin\nface 2: blue")
    for result in (faces, EMPTY):
        first, done = _events(Deltas().done(result, Question(request=Request())))
        assert first == {"type": "transcript.text.delta", "delta": result.text}
        assert done["text"] == result.text


def test_an_error_ends_a_stream() -> None:
    (event,) = _events(error_event(Refusal(400, "too long", param="file", code="file_too_long")))
    assert event["error"]["message"] == "too long"

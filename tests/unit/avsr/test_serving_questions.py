"""OpenAI's fields and ours, checked one by one."""

from pathlib import Path

import pytest

from avsr.recognition.request import Request
from avsr.recognizer import Recognizer, load
from avsr.serving.questions import Question, model_names, read_question
from avsr.serving.refusals import Refusal
from avsr.serving.uploads import Form


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("grid-tiny", "cpu")


def _question(
    recognizer: Recognizer, *fields: tuple[str, str], model: str = "whisper-1"
) -> Question:
    form = Form(file=Path("upload"), fields=[("model", model), *fields])
    return read_question(form, recognizer, ("whisper-1",))


def test_what_openai_sends_without_being_asked(recognizer: Recognizer) -> None:
    assert _question(recognizer) == Question(request=Request())
    assert _question(recognizer, model="grid-tiny") == Question(request=Request())
    assert model_names(recognizer, ("a", "grid-tiny")) == ["grid-tiny", "a"]


def test_all_fields(recognizer: Recognizer) -> None:
    question = _question(
        recognizer,
        ("language", "en"),
        ("temperature", "0.0"),
        ("prompt", "Mr. Bun"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("chunking_strategy", "auto"),
        ("stream", "False"),
        ("modality", "audio"),
        ("audio_rate", "16"),
        ("face", ""),
        ("num_beams", "2"),
    )
    assert question.request == Request().changed(
        {"modality": "audio", "audio_rate": 16, "num_beams": 2}
    )
    assert question.response_format == "verbose_json"
    assert question.granularities == ("word", "segment")
    assert not question.stream
    assert question.notes == ("the prompt is not used: this model takes none",)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ([("language", "de")], "language", "knows en only, not 'de'"),
        ([("temperature", "0.2")], "temperature", "only temperature 0"),
        ([("temperature", "warm")], "temperature", "only temperature 0"),
        ([("response_format", "diarized_json")], "response_format", "must be one of json, text"),
        ([("stream", "true"), ("response_format", "srt")], "response_format", "no srt"),
        ([("stream", "perhaps")], "stream", "true or false"),
        ([("timestamp_granularities[]", "word")], "timestamp_granularities", "verbose_json"),
        ([("timestamp_granularities[]", "page")], "timestamp_granularities[]", "word or segment"),
        ([("chunking_strategy", '{"type": "server_vad"}')], "chunking_strategy", "always cut"),
        ([("include[]", "logprobs")], "include[]", "no field 'include"),
        ([("audiorate", "4")], "audiorate", "did you mean audio_rate"),
        ([("language", "en"), ("language", "en")], "language", "twice"),
        ([("audio_rate", "3")], "audio_rate", "not trained at audio rate 3"),
        ([("modality", "touch")], "modality", "one of auto"),
        ([("num_beams", "17")], "num_beams", "at most 16"),
        ([("start", "2"), ("end", "1")], None, "start < end"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_named(
    recognizer: Recognizer, fields: list[tuple[str, str]], param: str | None, message: str
) -> None:
    with pytest.raises(Refusal, match=message) as refused:
        _question(recognizer, *fields)
    assert refused.value.to_dict()["error"]["type"] == "invalid_request_error"
    assert (refused.value.status, refused.value.param) == (400, param)


def test_the_model_has_a_name(recognizer: Recognizer) -> None:
    with pytest.raises(Refusal, match="there is grid-tiny, whisper-1") as unknown:
        _question(recognizer, model="gpt-5")
    assert (unknown.value.status, unknown.value.code) == (404, "model_not_found")
    with pytest.raises(Refusal, match="must provide a model"):
        _question(recognizer, model="")

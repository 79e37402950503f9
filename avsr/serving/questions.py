"""What a form asks for: OpenAI's fields for transcriptions, and our own beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from avsr.errors import UsageError
from avsr.recognition.request import Request
from avsr.recognition.request_texts import REQUEST_FIELDS, request_from_texts
from avsr.recognizer import Recognizer
from avsr.serving.refusals import Refusal, refusal_of
from avsr.serving.uploads import Form
from avsr.transcription import LANGUAGE

__all__ = [
    "Question",
    "ResponseFormat",
    "check_model",
    "model_names",
    "read_question",
    "read_request",
]

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
_GRANULARITIES = ("word", "segment")
_LANGUAGES = (LANGUAGE, "english")
_MOST_BEAMS = 16
_OPENAI_FIELDS = (
    "model",
    "language",
    "prompt",
    "temperature",
    "response_format",
    "timestamp_granularities",
    "stream",
    "chunking_strategy",
)
PROMPT_UNUSED = "the prompt is not used: this model takes none"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        request: how to transcribe.
        response_format: of the answer.
        granularities: of the times in a verbose answer.
        stream: whether words are sent as they are read.
        notes: what the answer must say about fields that change nothing.
    """

    request: Request
    response_format: ResponseFormat = "json"
    granularities: tuple[str, ...] = ("segment",)
    stream: bool = False
    notes: tuple[str, ...] = ()


def model_names(recognizer: Recognizer, aliases: tuple[str, ...]) -> list[str]:
    """What a request may call the model."""
    return list(dict.fromkeys((recognizer.loaded.name, *aliases)))


def read_question(form: Form, recognizer: Recognizer, aliases: tuple[str, ...]) -> Question:
    """Read and check all fields.

    Raises:
        Refusal: naming the field at fault.
    """
    single, granularities = _sorted_fields(form)
    check_model(single.pop("model", None), model_names(recognizer, aliases))
    language = single.pop("language", "")
    if language and language.lower() not in _LANGUAGES:
        message = f"the model knows {LANGUAGE} only, not {language!r}"
        raise Refusal(400, message, param="language", code="unsupported_value")
    temperature = single.pop("temperature", "") or "0"
    if not _is_zero(temperature):
        message = f"only temperature 0 is possible (nothing is sampled), got {temperature!r}"
        raise Refusal(400, message, param="temperature", code="unsupported_value")
    if single.pop("chunking_strategy", "auto") != "auto":
        message = "pieces are always cut where nobody speaks; leave chunking_strategy out"
        raise Refusal(400, message, param="chunking_strategy", code="unsupported_value")
    stream = single.pop("stream", "false").lower()
    if stream not in ("true", "false"):
        message = f"stream must be true or false, got {stream!r}"
        raise Refusal(400, message, param="stream", code="invalid_value")
    response_format = _format(single.pop("response_format", "json"))
    if stream == "true" and response_format not in ("json", "text"):
        message = f"a stream has no {response_format}; leave response_format out, or stream"
        raise Refusal(400, message, param="response_format", code="unsupported_value")
    if granularities and response_format != "verbose_json":
        message = "timestamp_granularities need the response_format verbose_json"
        raise Refusal(400, message, param="timestamp_granularities", code="invalid_value")
    notes = (PROMPT_UNUSED,) if single.pop("prompt", "") else ()
    return Question(
        request=read_request(single, recognizer),
        response_format=response_format,
        granularities=granularities or ("segment",),
        stream=stream == "true",
        notes=notes,
    )


def _sorted_fields(form: Form) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fields that may come once, and the list."""
    known = {*_OPENAI_FIELDS, *REQUEST_FIELDS}
    single: dict[str, str] = {}
    granularities: list[str] = []
    for name, value in form.fields:
        plain = name.removesuffix("[]")
        if plain not in known:
            close = get_close_matches(plain, known, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise Refusal(
                400, f"there is no field {name!r}{hint}", param=name, code="unknown_field"
            )
        if plain == "timestamp_granularities":
            if value not in _GRANULARITIES:
                message = f"give word or segment, got {value!r}"
                raise Refusal(400, message, param=name, code="invalid_value")
            granularities.append(value)
        elif plain in single:
            raise Refusal(400, f"{name} comes twice", param=name, code="invalid_value")
        else:
            single[plain] = value
    return single, tuple(dict.fromkeys(granularities))


def check_model(name: str | None, names: list[str]) -> None:
    """Check that the model that is asked for is here.

    Raises:
        Refusal: if none is, or another one.
    """
    here = ", ".join(names)
    if not name:
        message = f"you must provide a model; there is {here}"
        raise Refusal(400, message, param="model", code="missing_field")
    if name not in names:
        message = f"the model {name!r} does not exist; there is {here}"
        raise Refusal(404, message, param="model", code="model_not_found")


def _format(value: str) -> ResponseFormat:
    for known in _FORMATS:
        if value == known:
            return known
    message = f"response_format must be one of {', '.join(_FORMATS)}, got {value!r}"
    raise Refusal(400, message, param="response_format", code="unsupported_value")


def _is_zero(value: str) -> bool:
    try:
        return float(value) == 0
    except ValueError:
        return False


def read_request(fields: Mapping[str, str], recognizer: Recognizer) -> Request:
    """Read our own fields; an empty one is none.

    Raises:
        Refusal: naming the field at fault.
    """
    try:
        request = request_from_texts({name: value for name, value in fields.items() if value})
        recognizer.check(request)
    except UsageError as error:
        raise refusal_of(error, "", "") from None
    if (request.search.num_beams or 1) > _MOST_BEAMS:
        message = f"at most {_MOST_BEAMS} beams, got {request.search.num_beams}"
        raise Refusal(400, message, param="num_beams", code="invalid_value")
    return request

"""How a live connection begins: what its client wants."""

import json
from dataclasses import dataclass, field
from typing import Any

from avsr.recognition.request_texts import REQUEST_FIELDS
from avsr.serving.refusals import Refusal

__all__ = ["Start", "read_start", "read_values"]


@dataclass(frozen=True, kw_only=True)
class Start:
    """The first message of a client.

    Attributes:
        model: what it calls the model.
        key: lets it in; empty where it is in the head of the request.
        fields: how to read, as texts by the names of :data:`REQUEST_FIELDS`.
    """

    model: str | None = None
    key: str = ""
    fields: dict[str, str] = field(default_factory=dict)


def read_start(message: bytes | str) -> Start:
    """Read the first message.

    Raises:
        Refusal: naming what is wrong with it.
    """
    values = read_values(message) if isinstance(message, str) else {}
    if values.pop("event", None) != "start":
        example = '{"event": "start", "model": NAME}'
        raise Refusal(400, f"the first message must be {example}", code="bad_message")
    model, key = values.pop("model", None), values.pop("key", "")
    for name, value in {**values, "model": model, "key": key}.items():
        known = name in REQUEST_FIELDS or name in ("model", "key")
        if not known:
            raise Refusal(400, f"there is no field {name!r}", param=name, code="unknown_field")
        if isinstance(value, dict | list):
            raise Refusal(400, f"{name} must be a plain value", param=name, code="invalid_value")
    fields = {name: _text(value) for name, value in values.items() if value is not None}
    return Start(model=None if model is None else str(model), key=str(key or ""), fields=fields)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_values(message: str) -> dict[str, Any]:
    """The values of a text message.

    Raises:
        Refusal: if it is no JSON object.
    """
    try:
        values = json.loads(message)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise Refusal(400, "a text message must be a JSON object", code="bad_message")
    return values

"""A request from texts, as forms and command lines give them."""

import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

from avsr.clips.roi import Roi
from avsr.errors import SettingError
from avsr.recognition.modality import RequestedModality
from avsr.recognition.request import FaceRequest, Quality, Request
from avsr_frontends.sound_tracks import AudioTrackWish

__all__ = ["REQUEST_FIELDS", "parse_audio_track", "parse_face", "parse_roi", "request_from_texts"]

_FACES: tuple[FaceRequest, ...] = ("speaking", "largest", "all")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def parse_face(value: str) -> FaceRequest:
    """Read whose lips are meant.

    Raises:
        SettingError: if it is no face.
    """
    if value.isdecimal() and int(value) >= 1:
        return int(value)
    for name in _FACES:
        if value == name:
            return name
    message = f"{value!r} is no face; give speaking, largest, all, or a number from 1 on"
    raise SettingError(message, settings=("face",))


def parse_roi(value: str) -> Roi:
    """Read ``x,y,w,h``.

    Raises:
        SettingError: if it is anything else.
    """
    parts = [part.strip() for part in value.split(",")]
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        left, top, width, height = map(int, parts)
        if width and height:
            return left, top, width, height
    message = f"{value!r} is no part of a picture; give x,y,w,h in pixels, such as 640,0,640,720"
    raise SettingError(message, settings=("roi",))


def parse_audio_track(value: str) -> AudioTrackWish:
    """Read which sound track is meant: a number, else a language."""
    return int(value) if value.isdecimal() else value


def request_from_texts(values: Mapping[str, str]) -> Request:
    """Read a request.

    Args:
        values: by name, some of :data:`REQUEST_FIELDS`.

    Raises:
        SettingError: a value that is none of its field.
        UsageError: values that cannot stand together.
    """
    return Request().changed({name: REQUEST_FIELDS[name](text) for name, text in values.items()})


def _whole(name: str) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isdecimal() or len(value) > 6 or int(value) < 1:
            message = f"{name} must be a whole number from 1 on, got {value!r}"
            raise SettingError(message, settings=(name,))
        return int(value)

    return parse


def _number(name: str) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < 0:
            message = f"{name} must be a number from 0 on, got {value!r}"
            raise SettingError(message, settings=(name,))
        return number

    return parse


def _choice(name: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            message = f"{name} must be one of {', '.join(choices)}, got {value!r}"
            raise SettingError(message, settings=(name,))
        return value

    return parse


def _truth(name: str) -> Callable[[str], bool]:
    def parse(value: str) -> bool:
        if value.lower() not in _TRUTHS:
            message = f"{name} must be true or false, got {value!r}"
            raise SettingError(message, settings=(name,))
        return _TRUTHS[value.lower()]

    return parse


# What may be asked for, by the name that Python has for it, and how its text is read.
REQUEST_FIELDS: dict[str, Callable[[str], Any]] = {
    "modality": _choice("modality", get_args(RequestedModality)),
    "audio_rate": _whole("audio_rate"),
    "video_rate": _whole("video_rate"),
    "quality": _choice("quality", get_args(Quality)),
    "max_tokens_per_second": _number("max_tokens_per_second"),
    "auto_rate": _truth("auto_rate"),
    "face": parse_face,
    "roi": parse_roi,
    "audio_track": parse_audio_track,
    "start": _number("start"),
    "end": _number("end"),
    "keep_unsure": _truth("keep_unsure"),
    "num_beams": _whole("num_beams"),
    "ctc_weight": _number("ctc_weight"),
    "draft": str,
}

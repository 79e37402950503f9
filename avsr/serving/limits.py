"""Recordings that are too long, or too large a picture, told by their headers before decoding."""

import math
from dataclasses import replace
from pathlib import Path

from avsr.errors import InputError
from avsr.recognition.request import Request
from avsr.serving.refusals import Refusal
from avsr.serving.settings import ServerSettings
from avsr.transcription import TranscriptionResult
from avsr_frontends.media import MediaError, probe

__all__ = ["bounded", "check_result"]

_LARGEST_SIDE = 4096  # pixels: beyond, decoding alone takes minutes
_SLACK_S = 1.0  # read beyond the limit of a file that does not tell its length, to notice it


def bounded(path: Path, request: Request, settings: ServerSettings) -> Request:
    """A request for a file that ends where the limit is passed, whatever its headers say.

    Raises:
        InputError: if the file cannot be read.
        Refusal: if its headers tell that it is above a limit.
    """
    try:
        info = probe(path)
    except MediaError as error:
        raise InputError(str(error)) from error
    start = request.start or 0.0
    end = math.inf if request.end is None else request.end
    whole_s = math.inf if info.duration_s is None else info.duration_s
    length_s = min(whole_s, end) - start
    if math.isfinite(length_s):
        _check_length(length_s, settings)
    if max(info.width or 0, info.height or 0) > _LARGEST_SIDE:
        message = (
            f"the picture is too large ({info.width}x{info.height}); the limit is "
            f"{_LARGEST_SIDE} pixels a side"
        )
        raise Refusal(400, message, param="file", code="picture_too_large")
    return replace(request, end=min(end, start + settings.max_seconds + _SLACK_S))


def check_result(result: TranscriptionResult, settings: ServerSettings) -> None:
    """Refuse what turned out to be too long.

    Raises:
        Refusal: if it is.
    """
    _check_length(result.duration_s, settings)


def _check_length(length_s: float, settings: ServerSettings) -> None:
    if length_s > settings.max_seconds:
        message = (
            f"the recording is too long ({length_s:.0f} s); the limit is "
            f"{settings.max_seconds:g} s: cut it, or ask for a part by start and end"
        )
        raise Refusal(400, message, param="file", code="file_too_long")

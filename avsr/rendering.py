"""Transcriptions as files: plain text, subtitles (SRT, WebVTT), tables (TSV) and JSON."""

import html
import json
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avsr.transcription import Segment, TranscriptionResult, Word

_LINE_LENGTH = 42  # characters, and two lines a cue: what subtitle guidelines ask for
_CUE_LENGTH = 2 * _LINE_LENGTH
_CUE_S = 7.0  # longest time that one cue stays on screen


@dataclass(frozen=True, kw_only=True)
class Cue:
    """What one subtitle shows, and when.

    Attributes:
        start: seconds.
        end: seconds.
        text: one or two lines.
    """

    start: float
    end: float
    text: str


def render(result: "TranscriptionResult", output_format: str) -> str:
    """Write a transcription down.

    Args:
        result: the transcription.
        output_format: one of :data:`FORMATS`.

    Returns:
        The content of a file, ending in a newline (empty subtitles are an empty text).

    Raises:
        ValueError: on an unknown format.
    """
    if output_format not in FORMATS:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, got {output_format!r}")
    return FORMATS[output_format](result)


def cues(result: "TranscriptionResult") -> Iterator[Cue]:
    """Cut the segments into subtitles; one with words is cut between words.

    Where several people speak, each segment begins with whose face it is.
    """
    for segment in result.segments:
        speaker = "" if segment.face is None else f"face {segment.face}: "
        if not segment.words:
            if segment.text:
                yield _cue(segment.start, segment.end, speaker + segment.text)
            continue
        line: list[Word] = []
        for word in segment.words:
            if line and (
                word.end - line[0].start > _CUE_S or len(_joined([*line, word])) > _CUE_LENGTH
            ):
                yield _cue(line[0].start, line[-1].end, speaker + _joined(line))
                line, speaker = [], ""
            line.append(word)
        yield _cue(line[0].start, line[-1].end, speaker + _joined(line))


def clock(seconds: float, separator: str = ".") -> str:
    """Time as subtitles write it: ``01:02:03.456``, never negative."""
    milliseconds = max(0, round(1000 * seconds))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{separator}{rest % 1000:03d}"


def _txt(result: "TranscriptionResult") -> str:
    return result.text + "\n"


def _srt(result: "TranscriptionResult") -> str:
    blocks = []
    for number, cue in enumerate(cues(result), start=1):
        text = cue.text.replace("-->", "->")  # would pass for another cue's times
        blocks.append(f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{text}\n")
    return "\n".join(blocks)


def _vtt(result: "TranscriptionResult") -> str:
    blocks = (
        f"{clock(cue.start)} --> {clock(cue.end)}\n{html.escape(cue.text, quote=False)}\n"
        for cue in cues(result)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _tsv(result: "TranscriptionResult") -> str:
    """Milliseconds and text, as openai-whisper writes them."""
    rows = [_tsv_row(segment) for segment in result.segments if segment.text]
    return "\n".join(["start\tend\ttext", *rows]) + "\n"


def _tsv_row(segment: "Segment") -> str:
    return f"{round(1000 * segment.start)}\t{round(1000 * segment.end)}\t{segment.text}"


def _json(result: "TranscriptionResult") -> str:
    return json.dumps(result.to_dict(), ensure_ascii=False, indent=2) + "\n"


FORMATS: dict[str, Callable[["TranscriptionResult"], str]] = {
    "txt": _txt,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
    "json": _json,
}


def _joined(words: "list[Word]") -> str:
    return " ".join(word.word for word in words)


def _cue(start: float, end: float, text: str) -> Cue:
    return Cue(start=start, end=end, text="\n".join(textwrap.wrap(text, _LINE_LENGTH)))

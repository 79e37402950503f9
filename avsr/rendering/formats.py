"""The formats of result files."""

import html
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from avsr.rendering.cues import Cue, SubtitleStyle, cut_cues
from avsr.transcription import TranscriptionResult


def render(
    result: TranscriptionResult, output_format: str, style: SubtitleStyle | None = None
) -> str:
    """Write a transcription down.

    Args:
        result: the transcription.
        output_format: one of :data:`FORMATS`.
        style: of subtitles.

    Returns:
        The content of a file, ending in a newline (empty subtitles are an empty text).

    Raises:
        ValueError: on an unknown format.
    """
    if output_format not in FORMATS:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, got {output_format!r}")
    return FORMATS[output_format](result, style or SubtitleStyle())


def clock(seconds: float, separator: str = ".") -> str:
    """Time as subtitles write it: ``01:02:03.456``, never negative."""
    milliseconds = max(0, round(1000 * seconds))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{separator}{rest % 1000:03d}"


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """One block of a subtitle file: a cue, or one word of it that is underlined."""

    start: float
    end: float
    cue: Cue
    lit: int | None = None

    def text(self, style: SubtitleStyle, safe: Callable[[str], str]) -> str:
        """The lines without a label, each word as the format can take it."""
        place = 0
        lines = []
        for line in style.lines([word.word for word in self.cue.words], self.cue.label):
            texts = [safe(word) for word in line]
            if self.lit is not None and 0 <= self.lit - place < len(line):
                texts[self.lit - place] = f"<u>{texts[self.lit - place]}</u>"
            place += len(line)
            lines.append(" ".join(texts))
        return "\n".join(lines)


def _shown(result: TranscriptionResult, style: SubtitleStyle) -> list[_Shown]:
    """What a subtitle file shows, in the order of starts."""
    blocks = []
    for cue in cut_cues(result, style):
        if style.highlight_words:
            blocks += _word_by_word(cue)
        else:
            blocks.append(_Shown(start=cue.start, end=cue.end, cue=cue))
    return sorted(blocks, key=lambda block: (block.start, block.end))


def _word_by_word(cue: Cue) -> Iterator[_Shown]:
    """The cue once for each word, underlined while it is said, and plain in between."""
    last = cue.start
    for index, word in enumerate(cue.words):
        start, end = max(last, word.start), min(word.end, cue.end)
        if start > last:
            yield _Shown(start=last, end=start, cue=cue)
        if end > start:
            yield _Shown(start=start, end=end, cue=cue, lit=index)
            last = end
        else:
            last = max(last, start)
    if cue.end > last:
        yield _Shown(start=last, end=cue.end, cue=cue)


def _txt(result: TranscriptionResult, _style: SubtitleStyle) -> str:
    return result.text + "\n"


def _srt(result: TranscriptionResult, style: SubtitleStyle) -> str:
    def safe(word: str) -> str:
        return word.replace("-->", "->")  # would pass for another cue's times

    blocks = []
    for number, block in enumerate(_shown(result, style), start=1):
        text = block.cue.label + block.text(style, safe)
        times = f"{clock(block.start, ',')} --> {clock(block.end, ',')}"
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def _vtt(result: TranscriptionResult, style: SubtitleStyle) -> str:
    def safe(word: str) -> str:
        return html.escape(word, quote=False)

    notes = (f"NOTE warning: {safe(' '.join(text.split()))}\n" for text in result.warnings)
    blocks = []
    for block in _shown(result, style):
        voice = "" if block.cue.face is None else f"<v face {block.cue.face}>"
        times = f"{clock(block.start)} --> {clock(block.end)}"
        blocks.append(f"{times}\n{voice}{block.text(style, safe)}\n")
    return "\n".join(["WEBVTT\n", *notes, *blocks])


def _tsv(result: TranscriptionResult, _style: SubtitleStyle) -> str:
    """Milliseconds and text as openai-whisper writes them; who speaks, where there are several."""
    segments = sorted(result.segments, key=lambda segment: segment.span)
    has_speakers = any(segment.face is not None for segment in segments)
    rows = [["start", "end", "text", *(["speaker"] if has_speakers else [])]]
    for segment in segments:
        if segment.text:
            times = [str(round(1000 * time)) for time in segment.span]
            speaker = "" if segment.face is None else f"face {segment.face}"
            text = " ".join(segment.text.split())
            rows.append([*times, text, *([speaker] if has_speakers else [])])
    return "".join("\t".join(row) + "\n" for row in rows)


def _json(result: TranscriptionResult, _style: SubtitleStyle) -> str:
    return json.dumps(result.to_dict(), ensure_ascii=False, indent=2) + "\n"


FORMATS: dict[str, Callable[[TranscriptionResult, SubtitleStyle], str]] = {
    "txt": _txt,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
    "json": _json,
}

"""Captions in which each word lights up while it is said."""

from avsr import TranscriptionResult, Word

_LINE_WORDS = 9  # words on screen at a time


def following_captions(result: TranscriptionResult | None) -> str:
    """Write WebVTT with one cue a word: its line, with the word itself in bold.

    Segments without word times become one cue each.
    """
    blocks = ["WEBVTT\n"]
    for segment in result.segments if result else ():
        if segment.words:
            lines = [
                segment.words[start : start + _LINE_WORDS]
                for start in range(0, len(segment.words), _LINE_WORDS)
            ]
            blocks += [cue for line in lines for cue in _line(line)]
        elif segment.text:
            blocks.append(_cue(segment.start, segment.end, _safe(segment.text)))
    return "\n".join(blocks)


def _line(words: tuple[Word, ...]) -> list[str]:
    """One cue for each word, which lasts until the next one starts."""
    cues: list[str] = []
    for index, word in enumerate(words):
        end = words[index + 1].start if index + 1 < len(words) else word.end
        texts = [_safe(other.word) for other in words]
        texts[index] = f"<b>{texts[index]}</b>"
        if end > word.start:
            cues.append(_cue(word.start, end, " ".join(texts)))
    return cues


def _cue(start: float, end: float, text: str) -> str:
    return f"{_clock(start)} --> {_clock(end)}\n{text}\n"


def _clock(seconds: float) -> str:
    milliseconds = max(0, round(1000 * seconds))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _safe(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(text.split())

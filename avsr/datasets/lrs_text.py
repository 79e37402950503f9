"""The text files of LRS2 and LRS3: a transcript, and often a table of word times."""

from dataclasses import dataclass
from pathlib import Path

from avsr.datasets.dataset import DatasetBuilder, SourceClip, TimedWord
from avsr.lines import split_lines
from avsr.manifest import Utterance

_BRACES = str.maketrans("", "", "{}")


@dataclass(frozen=True, kw_only=True)
class LrsText:
    """What such a file holds: the transcript, and the words with times in seconds, if there."""

    text: str
    words: tuple[TimedWord, ...]


def parse_lrs_text(content: str) -> LrsText:
    """Read the content of a text file.

    The first line is ``Text:`` and the transcript; braces around a word go and the word stays, as
    in the published preparation. Below a line ``WORD START END ...`` each line is one word.

    Raises:
        ValueError: if the first line has no label or the word table is malformed.
    """
    lines = split_lines(content.lstrip("\ufeff"))
    label, _, transcript = lines[0].partition(":") if lines else ("", "", "")
    if label.strip().lower() != "text":
        raise ValueError("the first line must be 'Text:' and the transcript")
    words: list[TimedWord] = []
    in_table = False
    for line in lines[1:]:
        fields = line.split()
        if fields[:3] == ["WORD", "START", "END"]:
            in_table = True
        elif in_table and not fields:
            break
        elif in_table:
            words.append(_word(fields))
    text = " ".join(transcript.translate(_BRACES).split())
    return LrsText(text=text, words=tuple(words))


def is_lrs_text(path: Path) -> bool:
    """Whether a file begins as such a text does."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(5).lower() == "text:"
    except (OSError, UnicodeDecodeError):
        return False


def add_lrs_clip(
    builder: DatasetBuilder, media: Path, text: Path, clip_id: str, split: str, *, is_long: bool
) -> None:
    """Add one clip of LRS2 or LRS3; its folder stands for the speaker."""
    try:
        label = parse_lrs_text(text.read_text(encoding="utf-8"))
    except FileNotFoundError:
        builder.note("missing label", clip_id, f"{media}: no {text.name} beside it")
        return
    except (OSError, ValueError) as error:
        builder.note("bad label", clip_id, f"{text}: {error}")
        return
    utterance = Utterance(id=clip_id, path=media, text=label.text, speaker=media.parent.name)
    builder.add(SourceClip(utterance=utterance, words=label.words, split=split, is_long=is_long))


def _word(fields: list[str]) -> TimedWord:
    try:
        word, start, end = fields[0].translate(_BRACES), float(fields[1]), float(fields[2])
    except (IndexError, ValueError):
        raise ValueError(f"not a line of the word table: {' '.join(fields)!r}") from None
    if not 0 <= start <= end < float("inf"):
        raise ValueError(f"word {word!r} goes from {start} to {end} s")
    return TimedWord(text=word, start=start, end=end)

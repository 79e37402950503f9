"""The GRID corpus: videos whose six-letter names stand for their sentence, and ``.align`` files.

Videos may lie at any depth below a folder ``s1``, ``s2`` ... for each speaker, alignments likewise
(``s1/align/bbaf2n.align``, ``alignments/s1/bbaf2n.align`` ...). Where a video has no alignment, the
sentence is read off its name.
"""

import re
from pathlib import Path

from avsr.datasets.dataset import (
    VIDEO_SUFFIXES,
    Dataset,
    DatasetBuilder,
    SourceClip,
    TimedWord,
    choose_split,
)
from avsr.lines import split_lines
from avsr.manifest import Utterance

NAME = "grid"
LOOKED_FOR = "videos with GRID names such as s1/bbaf2n.mpg, and perhaps .align files"
TICKS_PER_SECOND = 25_000  # of the alignments
_SILENT = ("sil", "sp")
_CODE = re.compile(r"[blps][bgrw][abiw][a-vx-z][1-9z][anps]")
_SPEAKER = re.compile(r"s\d+")
_SLOTS: tuple[dict[str, str], ...] = (
    {word[0]: word for word in ("bin", "lay", "place", "set")},
    {word[0]: word for word in ("blue", "green", "red", "white")},
    {word[0]: word for word in ("at", "by", "in", "with")},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    dict(
        zip(
            "z123456789",
            ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
            strict=True,
        )
    ),
    {word[0]: word for word in ("again", "now", "please", "soon")},
)


def recognises(source: Path) -> bool:
    """Whether a folder has a video with a GRID name in a speaker's folder, or an alignment."""
    return any(
        _CODE.fullmatch(path.stem.lower())
        and (path.suffix.lower() == ".align" or _is_video_of_speaker(path))
        for path in source.rglob("*.*")
    )


def read(source: Path, split: str | None = None) -> Dataset:
    """Read GRID; ids are ``s1_bbaf2n`` and so on.

    Args:
        source: the folder of the corpus, or of one speaker.
        split: one speaker, such as ``s1``; None is all.

    Raises:
        UsageError: if there is nothing to read.
    """
    files = sorted(source.rglob("*.*"))
    alignments = {
        (_speaker(path), path.stem.lower()): path
        for path in files
        if path.suffix.lower() == ".align"
    }
    videos = [
        path
        for path in files
        if path.suffix.lower() in VIDEO_SUFFIXES and _CODE.fullmatch(path.stem.lower())
    ]
    speakers = sorted({_speaker(path) for path in videos} - {""}, key=lambda name: int(name[1:]))
    chosen = choose_split(source, speakers, split)
    builder = DatasetBuilder(NAME)
    for path in videos:
        speaker, code = _speaker(path), path.stem.lower()
        if speaker and speaker not in chosen:
            continue
        clip_id = f"{speaker}_{code}" if speaker else code
        words: tuple[TimedWord, ...] = ()
        if alignment := alignments.get((speaker, code)):
            try:
                words = parse_alignment(alignment.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                builder.note("bad label", clip_id, f"{alignment}: {error}")
                continue
        text = " ".join(word.text for word in words) or sentence_of(code)
        utterance = Utterance(id=clip_id, path=path, text=text, speaker=speaker or None)
        builder.add(SourceClip(utterance=utterance, words=words))
    return builder.finish(source)


def sentence_of(code: str) -> str:
    """The sentence that a GRID name stands for; ``w`` is no letter and ``z`` the digit zero.

    Raises:
        ValueError: if it is no GRID name.
    """
    if not _CODE.fullmatch(code):
        raise ValueError(f"{code!r} is not the name of a GRID clip, such as bbaf3s")
    return " ".join(slot[key] for slot, key in zip(_SLOTS, code, strict=True))


def parse_alignment(content: str) -> tuple[TimedWord, ...]:
    """Read an ``.align`` file: start, end (1/25000 s) and word on each line; silences go.

    Raises:
        ValueError: if a line is malformed.
    """
    words = []
    for line in filter(str.strip, split_lines(content)):
        try:
            start, end, word = line.split()
            times = int(start) / TICKS_PER_SECOND, int(end) / TICKS_PER_SECOND
        except ValueError:
            raise ValueError(f"not a line of an alignment: {line!r}") from None
        if word.lower() not in _SILENT:
            words.append(TimedWord(text=word, start=times[0], end=times[1]))
    return tuple(words)


def _speaker(path: Path) -> str:
    """The nearest folder named like a speaker, or nothing."""
    parts = reversed(path.resolve().parent.parts)
    return next((part.lower() for part in parts if _SPEAKER.fullmatch(part.lower())), "")


def _is_video_of_speaker(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and bool(_speaker(path))

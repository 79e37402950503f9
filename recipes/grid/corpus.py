"""Prepared corpora of three-second command sentences, and their frame-level word labels.

A prepared corpus is a folder with ``manifest.jsonl`` (one line per clip: id, text, speaker,
``words`` as [word, start, end] in seconds, and ``phones`` likewise where they are known),
``audio.npy`` [U, 48000] int16 at 16 kHz and, where there is a picture, ``mouth.npy``
[P, 75, 96, 96] uint8. Row u of the sound belongs to line u of the manifest; its picture is row
u % P, so that pictures are stored once where every clip is said by several voices.

Letters: U clips, T video frames (25 per second), A audio encoder frames (50 per second).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE_RATE = 16_000
N_SAMPLES = 48_000  # 3 s
N_VIDEO_FRAMES = 75
COMMANDS = ("bin", "lay", "place", "set")
COLOURS = ("blue", "green", "red", "white")
PREPOSITIONS = ("at", "by", "in", "with")
LETTERS = tuple("abcdefghijklmnopqrstuvxyz")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ADVERBS = ("again", "now", "please", "soon")
GRAMMAR = (COMMANDS, COLOURS, PREPOSITIONS, LETTERS, DIGITS, ADVERBS)
WORDS = ("<silence>", *[word for slot in GRAMMAR for word in slot])  # 52 frame labels
IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Clips in memory (audio) and on disk (pictures are mapped, not read)."""

    lines: list[dict[str, Any]]
    audio: np.ndarray  # [U, 48000] int16
    mouth: np.ndarray | None  # [P, 75, 96, 96] uint8

    def pictures(self, index: int) -> np.ndarray:
        """The pictures of clip ``index``, [75, 96, 96] uint8."""
        if self.mouth is None:
            raise ValueError("this corpus has no mouth.npy: prepare it with pictures")
        return self.mouth[index % len(self.mouth)]

    def __len__(self) -> int:
        return len(self.lines)


def interval_labels(
    intervals: list[tuple[int, float, float]], frames_per_second: int, length_s: float
) -> np.ndarray:
    """Label the frames of ``length_s`` seconds by the interval each lies in, else 0."""
    labels = np.zeros(round(length_s * frames_per_second), dtype=np.int64)
    for label, start, end in intervals:
        first = round(start * frames_per_second)
        labels[first : max(first + 1, round(end * frames_per_second))] = label
    return labels


def load_corpus(folder: str | Path) -> Corpus:
    """Open a prepared corpus; sound is read into memory, pictures are mapped."""
    folder = Path(folder)
    with open(folder / "manifest.jsonl", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    audio = np.load(folder / "audio.npy")
    mouth_file = folder / "mouth.npy"
    mouth = np.load(mouth_file, mmap_mode="r") if mouth_file.exists() else None
    if len(audio) != len(lines) or (mouth is not None and len(lines) % len(mouth)):
        raise ValueError(
            f"{folder}: the arrays and manifest.jsonl differ in length; prepare it again"
        )
    return Corpus(lines=lines, audio=audio, mouth=mouth)


def phone_inventory(lines: list[dict[str, Any]], file: Path) -> dict[str, int]:
    """Number the phones of a corpus from 1, in alphabetical order; 0 stays silence.

    Args:
        lines: of the corpus.
        file: where the numbers are kept, or read from: a second cycle may have other corpora, and
            phones that the first did not meet stay without a number.
    """
    if not file.exists():
        phones = {phone for line in lines for phone, _, _ in line.get("phones", [])}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(sorted(phones)), encoding="utf-8")
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {phone: index for index, phone in enumerate(kept, start=1)}

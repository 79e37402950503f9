"""What is said: sentences of the GRID command grammar, divided into splits by their text."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

Split = Literal["train", "dev", "test"]

GRAMMAR: tuple[tuple[str, ...], ...] = (
    ("bin", "lay", "place", "set"),
    ("blue", "green", "red", "white"),
    ("at", "by", "in", "with"),
    tuple("abcdefghijklmnopqrstuvxyz"),  # GRID leaves out w, the only long letter name
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)

_LETTER = 3  # place of the letter in a sentence
_LETTER_NAMES = {"a": "[['eI]]", "z": "[[z'Ed]]"}  # espeak-ng would read an article, or "zee"


def split_of(text: str) -> Split:
    """The split that a sentence belongs to: 5 % test, 5 % dev, 90 % train, by its hash."""
    percent = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 100
    return "test" if percent < 5 else "dev" if percent < 10 else "train"


def grid_sentences(split: Split, rng: random.Random) -> Iterator[list[str]]:
    """Endless random sentences of six words, all from ``split``."""
    while True:
        words = [rng.choice(choices) for choices in GRAMMAR]
        if split_of(" ".join(words)) == split:
            yield words


def grid_spoken(words: Sequence[str]) -> list[str]:
    """What espeak-ng has to read so that the letter comes out as its British name."""
    return [
        _LETTER_NAMES.get(word, word) if place == _LETTER else word
        for place, word in enumerate(words)
    ]


def read_sentences(path: Path) -> list[list[str]]:
    """One sentence a line, blank lines left out; punctuation stays and makes pauses.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no sentence.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    sentences = [line.split() for line in lines if re.search(r"\w", line)]
    if not sentences:
        raise ValueError(f"{path} has no sentences: write one a line")
    return sentences


def transcript(words: Sequence[str]) -> list[str]:
    """Words in lower case without punctuation; an empty text where nothing is left of one."""
    return [re.sub(r"[^\w']", "", word.lower()) for word in words]

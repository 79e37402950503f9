"""How a reading differs from what was said, word by word."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import jiwer

from avsr.text import WordErrors, count_word_errors, normalise


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step from what was said to what was read.

    Attributes:
        kind: the word is right, read as another, missed, or not said at all.
        said: the word of the reference; None for ``"added"``.
        index: position among the words read; None for ``"missed"``.
    """

    kind: Literal["right", "wrong", "missed", "added"]
    said: str | None
    index: int | None


def word_errors(reference: str, text: str) -> WordErrors | None:
    """Word errors of a text, or None where the reference has no word."""
    said = normalise(reference)
    return count_word_errors([said], [normalise(text)]) if said else None


def align(reference: str, words: list[str]) -> list[Step]:
    """Align words that were read with what was said.

    Args:
        reference: at least one word.
        words: as read, each a single word.

    Returns:
        The steps in order; every index into ``words`` occurs once.
    """
    return list(_steps(normalise(reference).split(), [normalise(word) or word for word in words]))


def _steps(said: list[str], read: list[str]) -> Iterator[Step]:
    if not read:
        yield from (Step(kind="missed", said=word, index=None) for word in said)
        return
    # jiwer splits at spaces: a word that normalises to two must stay one here
    read_words = [word.replace(" ", "_") for word in read]
    output = jiwer.process_words(" ".join(said), " ".join(read_words))
    for chunk in output.alignments[0]:
        spoken = range(chunk.ref_start_idx, chunk.ref_end_idx)
        heard = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
        if chunk.type == "insert":
            yield from (Step(kind="added", said=None, index=index) for index in heard)
        elif chunk.type == "delete":
            yield from (Step(kind="missed", said=said[index], index=None) for index in spoken)
        else:
            kind: Literal["right", "wrong"] = "right" if chunk.type == "equal" else "wrong"
            for i, j in zip(spoken, heard, strict=True):
                yield Step(kind=kind, said=said[i], index=j)

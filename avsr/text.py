"""Text normalisation and word error counts.

One normaliser is applied to reference and hypothesis alike: lower case, no punctuation except
apostrophes inside words, single spaces. It keeps words as they are (no number rewriting), as the
audio-visual papers on LRS3 do.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

__all__ = [
    "WordErrors",
    "count_word_errors",
    "normalise",
    "spoken_form",
]

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'"})
_DIGITS = re.compile(r"[0-9](?:[0-9]|,(?=[0-9]{3}))*")
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")


def normalise(text: str) -> str:
    """Lower-case, drop punctuation except apostrophes inside words, collapse spaces.

    A hyphen or dash becomes a space, so that ``"set-up"`` counts as two words.
    """
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).lower()
    characters = (
        character if character == "'" or unicodedata.category(character)[0] in "LMN" else " "
        for character in text
    )
    return " ".join(_LONE_APOSTROPHE.sub(" ", "".join(characters)).split())


def spoken_form(text: str) -> str:
    """A text as it is said: normalised, with numbers as words (``Q4`` is ``q four``).

    Up to four digits are one number, longer or zero-led ones are read digit by digit.
    """
    return normalise(_DIGITS.sub(_said, text))


def _said(number: re.Match[str]) -> str:
    # 0.3 s, for few texts
    from transformers.models.clvp.number_normalizer import EnglishNormalizer

    say = EnglishNormalizer().number_to_words
    digits = number.group().replace(",", "")
    if len(digits) > 4 or (digits.startswith("0") and len(digits) > 1):
        return f" {' '.join(say(int(digit)) for digit in digits)} "
    return f" {say(int(digits))} "


@dataclass(frozen=True, kw_only=True)
class WordErrors:
    """Word errors of a set of utterances.

    Attributes:
        substitutions: words heard as another word.
        deletions: words missed.
        insertions: words invented.
        n_words: words in the references.
    """

    substitutions: int
    deletions: int
    insertions: int
    n_words: int

    @property
    def n_errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Errors over reference words, a fraction; may exceed 1."""
        return self.n_errors / self.n_words


def count_word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Count the word errors of a corpus (errors are summed, then divided by all words).

    Args:
        references: normalised texts, each with at least one word.
        hypotheses: normalised texts, one for each reference; may be empty.

    Returns:
        The counts over all utterances.

    Raises:
        ValueError: if there is no reference, one is empty, or the numbers differ.
    """
    if not references or len(references) != len(hypotheses):
        raise ValueError(
            f"need as many hypotheses as references and at least one, got {len(hypotheses)} and "
            f"{len(references)}"
        )
    if not all(reference.split() for reference in references):
        raise ValueError("a reference text has no word; drop that utterance or mend its text")
    counts = jiwer.process_words(list(references), list(hypotheses))
    return WordErrors(
        substitutions=counts.substitutions,
        deletions=counts.deletions,
        insertions=counts.insertions,
        n_words=counts.hits + counts.substitutions + counts.deletions,
    )

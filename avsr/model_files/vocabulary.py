"""Words that a model cannot write, or never met."""

from pathlib import Path
from typing import Any

from avsr.text import normalise

WORDS_FILE = "words.txt"  # in a model folder: all words of a model that reads nothing else


def closed_vocabulary(folder: str | Path) -> frozenset[str] | None:
    """The words that a model was made for; None for a model that reads anything."""
    file = Path(folder) / WORDS_FILE
    return frozenset(file.read_text(encoding="utf-8").split()) if file.is_file() else None


def unknown_words(text: str, tokenizer: Any, known: frozenset[str] | None = None) -> list[str]:
    """The words of a text that a model has no way to get right.

    Args:
        text: a transcript.
        tokenizer: of the model; a word that it cannot spell without its unknown token is unknown.
        known: the words of a model with a closed vocabulary; all others are unknown.

    Returns:
        The words after normalising, each once.
    """
    words = dict.fromkeys(normalise(text).split())
    unknown_id = tokenizer.unk_token_id
    return [
        word
        for word in words
        if (known is not None and word not in known)
        or (
            unknown_id is not None
            and unknown_id in tokenizer(word, add_special_tokens=False)["input_ids"]
        )
    ]

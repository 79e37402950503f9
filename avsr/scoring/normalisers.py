"""The two ways in which texts are made comparable before words are counted.

``lrs3`` is what the audio-visual papers on LRS3 do: lower case, no punctuation, words as they are.
``whisper`` is the English normaliser of the Whisper paper, which also rewrites numbers,
contractions and British spellings; papers that compare with Whisper report it.
"""

import json
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.resources import files

from avsr.text import normalise

LRS3 = "lrs3"
WHISPER = "whisper"


@lru_cache(maxsize=100_000)  # references come back for every row
def normalise_as_whisper(text: str) -> str:
    """Apply Whisper's English normaliser and collapse spaces."""
    return " ".join(_whisper_normaliser()(text).split())


NORMALISERS: dict[str, Callable[[str], str]] = {LRS3: normalise, WHISPER: normalise_as_whisper}


def describe_normalisers() -> dict[str, str]:
    """What each normaliser does, with the versions of the code and of the spelling table."""
    return {
        LRS3: "lower case, no punctuation but apostrophes inside words",
        WHISPER: (
            f"EnglishTextNormalizer of transformers {version('transformers')}, spellings of "
            f"whisper-normalizer {version('whisper-normalizer')}"
        ),
    }


@cache
def _whisper_normaliser() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    # transformers holds the rules; its spelling table comes only with Whisper's weights.
    table = files("whisper_normalizer") / "normalizers" / "english.json"
    return EnglishTextNormalizer(json.loads(table.read_text(encoding="utf-8")))

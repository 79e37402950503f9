"""The numbers that come with a model to judge whether it reads what is said."""

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["READABILITY_FILE", "ReadabilityWeights", "read_readability"]

READABILITY_FILE = "readability.json"

ReadabilityWeights = Mapping[str, Mapping[str, float]]
"""For each modality, weights of the signs by name, see :mod:`avsr.recognition.readability`."""


def read_readability(folder: str | Path) -> ReadabilityWeights:
    """The weights in a model folder; none where it has no such file.

    Raises:
        ValueError: if the file holds anything else.
    """
    file = Path(folder) / READABILITY_FILE
    if not file.is_file():
        return {}
    try:
        return {
            modality: {name: float(value) for name, value in weights.items()}
            for modality, weights in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{file} is no table of weights for each modality: {error}") from None

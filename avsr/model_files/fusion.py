"""The numbers that come with a model to judge a reading of sound and lips by those of either."""

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["FUSION_FILE", "FUSION_NAMES", "FusionWeights", "read_fusion"]

FUSION_FILE = "fusion.json"

FusionWeights = Mapping[str, float]
"""Weights by name, see :mod:`avsr.recognition.fusion`."""

FUSION_NAMES = ("av", "av_log_prob", "audio_log_prob", "video_log_prob", "audio_gap", "video_gap")


def read_fusion(folder: str | Path) -> FusionWeights:
    """The weights in a model folder; none where it has no such file.

    Raises:
        ValueError: if the file holds anything else.
    """
    file = Path(folder) / FUSION_FILE
    if not file.is_file():
        return {}
    try:
        weights = json.loads(file.read_text(encoding="utf-8"))
        if set(weights) != set(FUSION_NAMES):
            raise ValueError(f"the names must be {', '.join(sorted(FUSION_NAMES))}")
        return {name: float(value) for name, value in weights.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{file} is no table of fusion weights: {error}") from None

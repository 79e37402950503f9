"""Attention sinks: finding them in any causal language model, showing them, testing their cause."""

from avsr.sinks.analysis import SinkAnalysis, SinkSettings, SinkToken, analyse_prefix, analyse_sinks
from avsr.sinks.clip import ClipAnalysis, analyse_clip
from avsr.sinks.rotation import Rotation, rotation_test
from avsr.sinks.tokens import TokenLabel, label_tokens

__all__ = [
    "ClipAnalysis",
    "Rotation",
    "SinkAnalysis",
    "SinkSettings",
    "SinkToken",
    "TokenLabel",
    "analyse_clip",
    "analyse_prefix",
    "analyse_sinks",
    "label_tokens",
    "rotation_test",
]

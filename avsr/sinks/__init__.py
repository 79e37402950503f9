"""Attention sinks: finding them in any causal language model, showing them, testing their cause."""

from avsr.sinks.analysis import (
    SinkAnalysis,
    SinkOrigin,
    SinkSettings,
    SinkToken,
    analyse_prefix,
    analyse_sinks,
)
from avsr.sinks.gates import GateUnit, gate_units
from avsr.sinks.piece import PieceAnalysis, analyse_clip, analyse_text
from avsr.sinks.rotation import Rotation, rotation_test
from avsr.sinks.tokens import TokenLabel, label_tokens

__all__ = [
    "GateUnit",
    "PieceAnalysis",
    "Rotation",
    "SinkAnalysis",
    "SinkOrigin",
    "SinkSettings",
    "SinkToken",
    "TokenLabel",
    "analyse_clip",
    "analyse_prefix",
    "analyse_sinks",
    "analyse_text",
    "gate_units",
    "label_tokens",
    "rotation_test",
]

"""The contents of ``sinks.json``."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from avsr.sinks.analysis import SinkAnalysis, SinkToken
from avsr.sinks.gates import GateUnit
from avsr.sinks.piece import PieceAnalysis
from avsr.sinks.rotation import Rotation
from avsr.version import __version__

_DIGITS = 5


def to_dict(pieces: Sequence[PieceAnalysis], model: str) -> dict[str, Any]:
    """Everything but the maps, as plain values; the same input gives the same values.

    Args:
        pieces: the analyses, all with the same settings.
        model: name of the model.
    """
    return {
        "avsr": __version__,
        "model": model,
        "settings": asdict(pieces[0].analysis.settings) if pieces else {},
        "inputs": [_piece(piece) for piece in pieces],
    }


def _piece(piece: PieceAnalysis) -> dict[str, Any]:
    return {
        "path": str(piece.path),
        "start": round(piece.start_s, 3),
        "end": round(piece.end_s, 3),
        "modality": piece.route.modality if piece.route else None,
        "audio_rate": piece.route.audio_rate if piece.route else None,
        "video_rate": piece.route.video_rate if piece.route else None,
        "text": piece.text,
        **analysis_to_dict(piece.analysis),
        "gates": [_gate(unit) for unit in piece.gates],
        "rotations": [_rotation(rotation) for rotation in piece.rotations],
        "base": None if piece.base is None else analysis_to_dict(piece.base),
    }


def analysis_to_dict(analysis: SinkAnalysis) -> dict[str, Any]:
    """Sinks first, then the statistics behind them, layer by layer and token by token."""
    return {
        "n_layers": analysis.n_layers,
        "n_tokens": len(analysis.labels),
        "largest_activation": _rounded(analysis.peaks[1:].max()),
        "decorrelation": _rounded(analysis.decorrelation),
        "sinks": [_sink(sink) for sink in analysis.sinks],
        "massive_activations": [
            {"layer": layer, "token": token, "features": list(features)}
            for layer, found in sorted(analysis.massive.items())
            for token, features in sorted(found.items())
        ],
        "tokens": [asdict(label) for label in analysis.labels],
        "received_attention": _rounded(analysis.received),
        "coverage": _rounded(analysis.coverage),
        "peak_over_median": _rounded(analysis.peaks),
        "cosine_to_first": _rounded(analysis.cosines),
        "largest_magnitude": {k: _rounded(v) for k, v in analysis.part_peaks.items()},
    }


def _sink(sink: SinkToken) -> dict[str, Any]:
    values = asdict(sink)
    label = values.pop("label")
    return {"index": values.pop("index"), **label, **values, "received": _rounded(sink.received)}


def _gate(unit: GateUnit) -> dict[str, Any]:
    measured = {name: _rounded(getattr(unit, name)) for name in ("share", "gate", "others")}
    return asdict(unit) | measured


def _rotation(rotation: Rotation) -> dict[str, Any]:
    return {
        "token": rotation.token,
        "towards": rotation.towards,
        "after_layer": rotation.layer,
        "layers": [rotation.first, rotation.last],
        "was_sink": rotation.was_sink,
        "is_sink": rotation.is_sink,
        "received_before_after": _rounded(np.array(rotation.received)),
        "peak_before_after": _rounded(np.array(rotation.peak)),
    }


def _rounded(values: Any) -> Any:
    return np.round(np.asarray(values, dtype=np.float64), _DIGITS).tolist()

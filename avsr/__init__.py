"""Audio-visual speech recognition: a video file in, the words spoken in it out.

Names are imported when first used, so that ``import avsr`` and the help of ``avsr`` stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avsr.config import AvsrConfig
    from avsr.decoding.options import SearchOptions
    from avsr.evaluation.evaluate import EvaluationResults, evaluate
    from avsr.evaluation.settings import EvaluationSettings
    from avsr.model import AvsrForConditionalGeneration
    from avsr.model_parts.streams import EncodedStreams
    from avsr.preparation.corpus import PreparationSettings, prepare
    from avsr.preparation.report import PreparationReport
    from avsr.processing import AvsrProcessor
    from avsr.recognition.request import Request
    from avsr.recognizer import Recognizer, load
    from avsr.rendering import render
    from avsr.route import Route
    from avsr.training.run import train
    from avsr.training.settings import TrainConfig
    from avsr.training.settings_file import load_settings
    from avsr.transcription import Segment, TranscriptionResult, Word
    from avsr.version import __version__
    from avsr.workers import RayCluster

__all__ = [
    "AvsrConfig",
    "AvsrForConditionalGeneration",
    "AvsrProcessor",
    "EncodedStreams",
    "EvaluationResults",
    "EvaluationSettings",
    "PreparationReport",
    "PreparationSettings",
    "RayCluster",
    "Recognizer",
    "Request",
    "Route",
    "SearchOptions",
    "Segment",
    "TrainConfig",
    "TranscriptionResult",
    "Word",
    "__version__",
    "evaluate",
    "load",
    "load_settings",
    "prepare",
    "render",
    "train",
]

_MODULE_OF = {
    "AvsrConfig": "avsr.config",
    "AvsrForConditionalGeneration": "avsr.model",
    "AvsrProcessor": "avsr.processing",
    "EncodedStreams": "avsr.model_parts.streams",
    "EvaluationResults": "avsr.evaluation.evaluate",
    "EvaluationSettings": "avsr.evaluation.settings",
    "PreparationReport": "avsr.preparation.report",
    "PreparationSettings": "avsr.preparation.corpus",
    "RayCluster": "avsr.workers",
    "Recognizer": "avsr.recognizer",
    "Request": "avsr.recognition.request",
    "Route": "avsr.route",
    "SearchOptions": "avsr.decoding.options",
    "Segment": "avsr.transcription",
    "TrainConfig": "avsr.training.settings",
    "TranscriptionResult": "avsr.transcription",
    "Word": "avsr.transcription",
    "__version__": "avsr.version",
    "evaluate": "avsr.evaluation.evaluate",
    "load": "avsr.recognizer",
    "load_settings": "avsr.training.settings_file",
    "prepare": "avsr.preparation.corpus",
    "render": "avsr.rendering",
    "train": "avsr.training.run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'avsr' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

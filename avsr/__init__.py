"""Audio-visual speech recognition: a video file in, the words spoken in it out.

Names are imported when first used, so that ``import avsr`` and ``avsr --help`` stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avsr.config import AvsrConfig
    from avsr.decoding.options import SearchOptions
    from avsr.model import AvsrForConditionalGeneration
    from avsr.model_parts.streams import EncodedStreams
    from avsr.processing import AvsrProcessor
    from avsr.recognition.request import Request
    from avsr.recognizer import Recognizer, load
    from avsr.route import Route
    from avsr.transcription import Segment, TranscriptionResult, Word

__version__ = "0.1.0"

__all__ = [
    "AvsrConfig",
    "AvsrForConditionalGeneration",
    "AvsrProcessor",
    "EncodedStreams",
    "Recognizer",
    "Request",
    "Route",
    "SearchOptions",
    "Segment",
    "TranscriptionResult",
    "Word",
    "load",
]

_MODULE_OF = {
    "AvsrConfig": "avsr.config",
    "AvsrForConditionalGeneration": "avsr.model",
    "AvsrProcessor": "avsr.processing",
    "EncodedStreams": "avsr.model_parts.streams",
    "Recognizer": "avsr.recognizer",
    "Request": "avsr.recognition.request",
    "Route": "avsr.route",
    "SearchOptions": "avsr.decoding.options",
    "Segment": "avsr.transcription",
    "TranscriptionResult": "avsr.transcription",
    "Word": "avsr.transcription",
    "load": "avsr.recognizer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'avsr' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

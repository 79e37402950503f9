"""Parts that are trained around frozen encoders and a frozen language model."""

from avsr_adapters.compressors import (
    COMPRESSORS,
    Compression,
    average_frames,
    compressed_lengths,
    stack_frames,
)
from avsr_adapters.decorrelation import LayerRange, decorrelated_layers, decorrelation_loss
from avsr_adapters.lora import (
    STRATEGIES,
    LoraAdapters,
    Strategy,
    Task,
    active_adapters,
    adapter_names,
    linear_layer_names,
)
from avsr_adapters.projectors import RateProjector, build_projector

__all__ = [
    "COMPRESSORS",
    "STRATEGIES",
    "Compression",
    "LayerRange",
    "LoraAdapters",
    "RateProjector",
    "Strategy",
    "Task",
    "active_adapters",
    "adapter_names",
    "average_frames",
    "build_projector",
    "compressed_lengths",
    "decorrelated_layers",
    "decorrelation_loss",
    "linear_layer_names",
    "stack_frames",
]

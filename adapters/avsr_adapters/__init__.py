"""Parts that are trained around frozen encoders and a frozen language model."""

from avsr_adapters.attention_tap import AttentionTap, tapped_attention
from avsr_adapters.compressors import (
    COMPRESSORS,
    Compressor,
    average_frames,
    compressed_lengths,
    stack_frames,
)
from avsr_adapters.decorrelation import LayerRange, decorrelated_layers, decorrelation_loss
from avsr_adapters.layer_probe import LayerObserver, decoder_layers, observed_layers
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
from avsr_adapters.recycling import AttentionRecycler
from avsr_adapters.sink_measures import (
    AttentionStatistics,
    cosine_to_first,
    find_sinks,
    magnitude_ratios,
)

__all__ = [
    "COMPRESSORS",
    "STRATEGIES",
    "AttentionRecycler",
    "AttentionStatistics",
    "AttentionTap",
    "Compressor",
    "LayerObserver",
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
    "cosine_to_first",
    "decoder_layers",
    "decorrelated_layers",
    "decorrelation_loss",
    "find_sinks",
    "linear_layer_names",
    "magnitude_ratios",
    "observed_layers",
    "stack_frames",
    "tapped_attention",
]

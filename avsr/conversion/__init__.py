"""Conversion of published checkpoints to model folders, without executing pickled code."""

from avsr.conversion.avhubert import convert_avhubert, is_avhubert_file
from avsr.conversion.convert import Conversion, convert_checkpoint
from avsr.conversion.model_config import ConversionOptions
from avsr.conversion.output import new_model_folder

__all__ = [
    "Conversion",
    "ConversionOptions",
    "convert_avhubert",
    "convert_checkpoint",
    "is_avhubert_file",
    "new_model_folder",
]

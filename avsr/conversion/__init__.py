"""Conversion of published checkpoints to model folders, without executing pickled code."""

from avsr.conversion.avhubert import convert_avhubert, is_avhubert_file
from avsr.conversion.convert import Conversion, plan_conversion
from avsr.conversion.model_config import ConversionOptions
from avsr.conversion.output import check_model_folder, new_model_folder

__all__ = [
    "Conversion",
    "ConversionOptions",
    "check_model_folder",
    "convert_avhubert",
    "is_avhubert_file",
    "new_model_folder",
    "plan_conversion",
]

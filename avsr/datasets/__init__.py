"""Readers of corpora in the layouts that people have them in.

Each module reads one layout; :func:`read_dataset` chooses among them.
"""

from avsr.datasets.dataset import Dataset, SourceClip, TimedWord
from avsr.datasets.detect import LAYOUTS, read_dataset
from avsr.datasets.problems import Problem

__all__ = ["LAYOUTS", "Dataset", "Problem", "SourceClip", "TimedWord", "read_dataset"]

"""AV-HuBERT: the lip video encoder (Shi et al. 2022, arXiv 2201.02184)."""

from avsr_frontends.avhubert.config import AvHubertConfig
from avsr_frontends.avhubert.encoder import AvHubertEncoder

__all__ = ["AvHubertConfig", "AvHubertEncoder"]

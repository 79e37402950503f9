"""Attention recycling: what sinks receive is given to the tokens that carry sound and lips.

After the idea of VAR (arXiv 2503.03321) for images; nothing is trained. The first token is left
alone: language models need it. Shapes: L layers, B batch, H heads, Q queries, S positions.
"""

import torch
from torch import Tensor
from torch.nn import functional


class AttentionRecycler:
    """An attention tap that moves attention from some tokens to others.

    Each head's query takes ``share`` of what it gives to the sources and spreads it over the
    targets it sees, in proportion to what it gives them already.

    Args:
        sources: [L, B, S] bool, sinks of each layer, without the first token.
        targets: [B, S] bool, tokens that carry sound or lips.
        share: 0 changes nothing, 1 takes all.

    Attributes:
        n_sources: tokens that attention is taken from, mean number per row and layer.
    """

    def __init__(self, sources: Tensor, targets: Tensor, share: float = 0.5) -> None:
        self._sources = sources & ~targets
        self._targets = targets
        self._share = share
        self.n_sources = self._sources.sum(dim=-1).float().mean().item()

    def of_row(self, row: int) -> "AttentionRecycler":
        """The same for one row alone: a search that drops finished rows needs this."""
        rows = slice(row, row + 1)
        return AttentionRecycler(self._sources[:, rows], self._targets[rows], self._share)

    def __call__(self, layer: int, first_query: int, weights: Tensor) -> Tensor:
        """Change a block [B, H, Q, S] of a layer (from 0); positions past S are other text."""
        sources = _extend(self._sources[layer], weights.shape[-1])
        if not bool(sources.any()):
            return weights
        if len(weights) != len(sources):
            raise ValueError(f"made for {len(sources)} rows, called with {len(weights)}")
        targets = _extend(self._targets, weights.shape[-1])
        taken = self._share * weights * sources
        given = weights * targets
        total = given.sum(dim=-1, keepdim=True)
        spread = given / total.clamp(min=torch.finfo(weights.dtype).tiny)
        changed = weights - taken + taken.sum(dim=-1, keepdim=True) * spread
        return torch.where(total > 0, changed, weights)


def _extend(marked: Tensor, n_keys: int) -> Tensor:
    """[B, S] to [B, 1, 1, n_keys], false beyond S."""
    return functional.pad(marked, (0, n_keys - marked.shape[-1]))[:, None, None]

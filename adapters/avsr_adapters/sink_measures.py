"""Measures of attention sinks: received attention, massive activations, cosine to the first token.

Definitions follow arXiv 2510.22603. Padding may stand on either side; positions count real tokens.
Shapes: L layers, B batch, H heads, Q queries, S positions, D hidden size.
"""

import torch
from torch import Tensor
from torch.nn import functional

ATTENTION_FACTOR = 5.0  # times the equal share 1/k of a query that sees k tokens
SINK_COVERAGE = 0.5  # share of the later tokens that give so much
MIN_LATER_TOKENS = 6  # fewer tell local attention and sinks apart no more
MASSIVE_FACTOR = 1000.0  # times the median magnitude of the layer


class AttentionStatistics:
    """An attention tap that sums what each token receives, layer by layer.

    Args:
        mask: [B, S] bool, true for real tokens.
        factor: an attention weight counts as high from this many times the query's equal share on.
        keep_maps: keep each layer's map, averaged over heads; memory then grows with S squared.

    Attributes:
        maps: layer -> [B, S, S], where kept.
    """

    def __init__(
        self, mask: Tensor, factor: float = ATTENTION_FACTOR, keep_maps: bool = False
    ) -> None:
        self._mask = mask
        self._factor = factor
        self._keep_maps = keep_maps
        self._visible = mask.cumsum(dim=1).clamp(min=1)  # tokens that each query sees
        self._sums: dict[int, Tensor] = {}
        self._high: dict[int, Tensor] = {}
        self.maps: dict[int, Tensor] = {}

    def __call__(self, layer: int, first_query: int, weights: Tensor) -> Tensor:
        """Add a block [B, H, Q, S] of a layer (from 0); gives it back unchanged."""
        n_queries, n_keys = weights.shape[2:]
        queries = slice(first_query, first_query + n_queries)
        mean = weights.detach().mean(dim=1)  # [B, Q, S]
        real = self._mask[:, queries, None]
        later = torch.arange(n_keys, device=mean.device) < torch.arange(
            first_query, first_query + n_queries, device=mean.device
        ).unsqueeze(1)
        share = self._factor / self._visible[:, queries, None]
        high = (mean >= share) & later & real
        sums = (mean * real).sum(dim=1)
        if layer not in self._sums:
            self._sums[layer] = torch.zeros_like(self._mask, dtype=torch.float32)
            self._high[layer] = torch.zeros_like(self._mask, dtype=torch.float32)
        self._sums[layer] += sums
        self._high[layer] += high.sum(dim=1)
        if self._keep_maps:
            before = self.maps.get(layer)
            self.maps[layer] = mean if before is None else torch.cat([before, mean], dim=1)
        return weights

    def received(self) -> Tensor:
        """[L, B, S]: attention a token gets, averaged over heads and the tokens that can see it."""
        queries = self._queries()
        return torch.stack([self._sums[k] / queries for k in sorted(self._sums)]) * self._mask

    def coverage(self) -> Tensor:
        """[L, B, S]: share of the *later* tokens that give a token a high weight."""
        later = (self._queries() - 1).clamp(min=1)
        return torch.stack([self._high[k] / later for k in sorted(self._high)]) * self._mask

    def later_tokens(self) -> Tensor:
        """[B, S]: how many real tokens come after each."""
        return (self._queries() - 1) * self._mask

    def _queries(self) -> Tensor:
        """[B, S]: real tokens at or after each position, at least one."""
        counts = self._mask.flip(1).cumsum(dim=1).flip(1)
        return counts.clamp(min=1)


def find_sinks(
    statistics: AttentionStatistics,
    coverage: float = SINK_COVERAGE,
    min_later: int = MIN_LATER_TOKENS,
) -> Tensor:
    """Decide, for each layer, which tokens are sinks: [L, B, S] bool.

    A sink is a token to which at least the share ``coverage`` of all later tokens give several
    times what each would give if it attended to all equally. The mean over queries alone cannot
    decide: the token before the last gets a high mean from a single neighbour. Counting queries
    asks for what makes a sink a sink, that it is attended from everywhere; neighbours and the
    handful of words that belong to a sound are too few. Tokens with fewer than ``min_later``
    tokens after them are never called sinks.
    """
    enough = statistics.later_tokens() >= min_later
    return (statistics.coverage() >= coverage) & enough


def magnitude_ratios(hidden: Tensor, mask: Tensor) -> Tensor:
    """Magnitudes of all activations over the median of all real tokens: [B, S, D], row by row."""
    magnitudes = hidden.detach().float().abs()
    medians = torch.stack([row[real].median() for row, real in zip(magnitudes, mask, strict=True)])
    return magnitudes / medians.clamp(min=torch.finfo(torch.float32).tiny)[:, None, None]


def cosine_to_first(hidden: Tensor, mask: Tensor) -> Tensor:
    """Cosine of each token's hidden state [B, S, D] to its row's first real token's: [B, S]."""
    rows = torch.arange(len(hidden), device=hidden.device)
    first = mask.to(torch.uint8).argmax(dim=1)
    directions = functional.normalize(hidden.detach().float(), dim=-1)
    return torch.einsum("bsd,bd->bs", directions, directions[rows, first])

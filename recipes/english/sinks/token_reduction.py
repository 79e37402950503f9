"""Shorter streams without training: behind the projector, to any number of tokens.

Merging after the ideas of A-ToMe (arXiv 2306.16009) and AIM (arXiv 2412.03248), choosing after that
of DivPrune (arXiv 2503.02175); both keep the order of time.
Shapes: S tokens, K wanted, D hidden size.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

Reduction = Callable[[Tensor, int], Tensor]


def merge_similar(tokens: Tensor, n_wanted: int) -> Tensor:
    """Merge the two most similar neighbours, again and again; a token is the mean of its frames.

    Args:
        tokens: [S, D].
        n_wanted: K, from 1 to S.

    Returns:
        [K, D].
    """
    merged, sizes = list(tokens), [1] * len(tokens)
    while len(merged) > n_wanted:
        stacked = functional.normalize(torch.stack(merged), dim=-1)
        at = int((stacked[:-1] * stacked[1:]).sum(dim=-1).argmax())
        total = sizes[at] + sizes[at + 1]
        merged[at] = (sizes[at] * merged[at] + sizes[at + 1] * merged[at + 1]) / total
        sizes[at] = total
        del merged[at + 1], sizes[at + 1]
    return torch.stack(merged)


def choose_diverse(tokens: Tensor, n_wanted: int) -> Tensor:
    """Keep tokens that differ most: each next one is farthest from all that are kept.

    Args:
        tokens: [S, D].
        n_wanted: K, from 1 to S.

    Returns:
        [K, D] of the tokens, in the order of time; the first is always kept.
    """
    directions = functional.normalize(tokens, dim=-1)
    distances = 1 - directions @ directions.T
    kept = [0]
    nearest = distances[0].clone()
    while len(kept) < n_wanted:
        nearest[kept] = -1.0
        kept.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, distances[kept[-1]])
    return tokens[sorted(kept)]


def mean_of_groups(tokens: Tensor, n_wanted: int) -> Tensor:
    """Equal stretches of time, each as its mean: [S, D] to [K, D]."""
    edges = [len(tokens) * number // n_wanted for number in range(n_wanted + 1)]
    return torch.stack([tokens[first:last].mean(dim=0) for first, last in pairwise(edges)])


REDUCTIONS: dict[str, Reduction] = {
    "merged": merge_similar,
    "diverse": choose_diverse,
    "pooled": mean_of_groups,
}

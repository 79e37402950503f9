"""Row groups of a mixed batch: split by a key, run each group, put the rows back in order."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)


def group_rows(keys: Sequence[Key]) -> dict[Key, list[int]]:
    """Row numbers by key, both in order of first appearance."""
    groups: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    return groups


def row_order(groups: Sequence[Sequence[int]]) -> Tensor | None:
    """Index that brings concatenated groups back to the batch's order; None for one group."""
    if len(groups) == 1:
        return None
    return torch.tensor([row for rows in groups for row in rows]).argsort()


def restore_rows(parts: Sequence[Tensor], order: Tensor | None) -> Tensor:
    """Concatenate the groups' tensors and restore the batch's order."""
    if order is None:
        return parts[0]
    joined = torch.cat(list(parts))
    return joined[order.to(joined.device)]

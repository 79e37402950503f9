"""Look at, or change, the attention of any Hugging Face causal language model while it runs.

Attention is computed in blocks of queries, and each block is handed to a *tap* before it meets the
values: a tap that only sums columns makes statistics of long inputs possible, whose full maps
would not fit in memory; one that returns other weights changes what the model does.
Shapes: B batch, H heads, Q queries of a block, S keys, E head size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

BLOCK_ELEMENTS = 2**24  # attention weights held at once (64 MB in float32)
_NAME = "avsr_tapped"


class AttentionTap(Protocol):
    """What is called with every block of attention weights."""

    def __call__(self, layer: int, first_query: int, weights: Tensor) -> Tensor:
        """Take note of a block, or return another in its place.

        Args:
            layer: index of the layer, from 0.
            first_query: position, among the keys, of the block's first query.
            weights: [B, H, Q, S] float32, rows that sum to one.

        Returns:
            The weights to go on with, usually those given.
        """
        ...


_tap: ContextVar[AttentionTap] = ContextVar("avsr_attention_tap")


@contextmanager
def tapped_attention(language_model: PreTrainedModel, tap: AttentionTap) -> Iterator[None]:
    """Let ``tap`` see the attention of all calls within the ``with`` block.

    Raises:
        ValueError: the model does not support exchangeable attention functions.
    """
    before = str(language_model.config._attn_implementation)
    language_model.set_attn_implementation(_NAME)
    if language_model.config._attn_implementation != _NAME:
        kind = type(language_model).__name__
        raise ValueError(f"{kind} does not let its attention function be exchanged")
    token = _tap.set(tap)
    try:
        yield
    finally:
        _tap.reset(token)
        language_model.set_attn_implementation(before)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention function in the form that transformers calls; returns [B, Q, H, E]."""
    if options.get("s_aux") is not None:
        raise ValueError("models with learned attention sinks in their softmax are not supported")
    tap = _tap.get()
    n_heads, n_queries, head_size = query.shape[1:]
    groups, n_keys = n_heads // key.shape[1], key.shape[2]
    key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    scale = head_size**-0.5 if scaling is None else scaling
    block = max(1, BLOCK_ELEMENTS // (len(query) * n_heads * n_keys))
    outputs = []
    for start in range(0, n_queries, block):
        queries = query[:, :, start : start + block]
        scores = (queries @ key.transpose(2, 3)).float() * scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        first = n_keys - n_queries + start
        scores = _hide(scores, attention_mask, start, first)
        weights = tap(int(module.layer_idx), first, scores.softmax(dim=-1))  # pyright: ignore
        outputs.append(weights.to(value.dtype) @ value)
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def _hide(scores: Tensor, mask: Tensor | None, start: int, first: int) -> Tensor:
    """Apply the model's mask [B, 1, n_queries, S], or plain causality where there is none."""
    n_queries, n_keys = scores.shape[2:]
    lowest = torch.finfo(scores.dtype).min
    if mask is None:
        queries = torch.arange(first, first + n_queries, device=scores.device)
        visible = torch.arange(n_keys, device=scores.device) <= queries[:, None]
        return scores.masked_fill(~visible, lowest)
    mask = mask[:, :, start : start + n_queries, :n_keys]
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, lowest)
    return scores + mask


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)

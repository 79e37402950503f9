"""The language model's input: markers, audio and video tokens, prompt and text in one sequence.

The order is BOS, <audio>, audio tokens, </audio>, <video>, video tokens, </video>, prompt, text;
an absent stream is absent with its markers. Rows of a batch are aligned at the end of the prompt:
a prefix is padded on its left, a text on its right, and positions count real tokens only, so that
a clip gives the same result alone and in any batch. Shapes: B batch, S positions, D hidden size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from avsr.decoding.rows import restore_rows, row_order

__all__ = [
    "IGNORED_LABEL",
    "Span",
    "TokenSequence",
    "append_text",
    "join_spans",
    "merge_rows",
    "strip_bos",
    "text_cross_entropy",
    "token_budget",
]

IGNORED_LABEL = -100  # what Hugging Face losses skip


@dataclass(frozen=True, kw_only=True)
class TokenSequence:
    """Input of a language model.

    Attributes:
        embeds: [B, S, D].
        mask: [B, S] bool, true for real tokens; None when all are.
    """

    embeds: Tensor
    mask: Tensor | None

    def full_mask(self) -> Tensor:
        """The mask as a tensor, [B, S] bool."""
        if self.mask is not None:
            return self.mask
        return torch.ones(self.embeds.shape[:2], dtype=torch.bool, device=self.embeds.device)

    def positions(self) -> Tensor | None:
        """[B, S] position of each real token within its row; None when there is no padding."""
        return None if self.mask is None else (self.mask.cumsum(dim=1) - 1).clamp(min=0)

    def rows(self, indices: Sequence[int]) -> "TokenSequence":
        """Keep some rows, in the given order, with all columns."""
        chosen = torch.tensor(indices, device=self.embeds.device)
        mask = None if self.mask is None else self.mask[chosen]
        return TokenSequence(embeds=self.embeds[chosen], mask=mask)

    def without_padding(self) -> "TokenSequence":
        """Without the leading columns that are padding in all rows."""
        if self.mask is None:
            return self
        longest = int(self.mask.sum(dim=1).max())
        return _unpadded(self.embeds[:, -longest:], self.mask[:, -longest:])


@dataclass(frozen=True, kw_only=True)
class Span:
    """A run of tokens at the same place of every row.

    Attributes:
        embeds: [S, D] when equal for all rows, or [B, S, D].
        lengths: [B] real tokens of each row; None when all are.
    """

    embeds: Tensor
    lengths: Tensor | None = None


def join_spans(spans: Sequence[Span], batch_size: int) -> TokenSequence:
    """Concatenate spans into one sequence per row, padded on the left.

    All take the dtype of the first, a token of the language model: projectors may be kept in a
    wider type than the model they feed.
    """
    dtype = spans[0].embeds.dtype
    embeds = torch.cat([span.embeds.to(dtype).expand(batch_size, -1, -1) for span in spans], dim=1)
    masks = []
    for span in spans:
        size = span.embeds.shape[-2]
        columns = torch.arange(size, device=embeds.device)
        limits = span.lengths if span.lengths is not None else torch.tensor([size] * batch_size)
        masks.append(columns < limits.to(embeds.device)[:, None])
    mask = torch.cat(masks, dim=1)
    if bool(mask.all()):
        return TokenSequence(embeds=embeds, mask=None)
    order = mask.to(torch.uint8).argsort(dim=1, stable=True)  # padding first, order kept
    rows = torch.arange(batch_size, device=embeds.device)[:, None]
    return TokenSequence(embeds=embeds[rows, order], mask=mask.gather(1, order)).without_padding()


def merge_rows(parts: Sequence[tuple[Sequence[int], TokenSequence]]) -> TokenSequence:
    """Put row groups of one batch back together.

    Args:
        parts: pairs of row numbers and the sequences of those rows.

    Returns:
        All rows in the order of their numbers, padded on the left to the longest.
    """
    order = row_order([rows for rows, _ in parts])
    if order is None:
        return parts[0][1]
    longest = max(part.embeds.shape[1] for _, part in parts)
    embeds = [functional.pad(p.embeds, (0, 0, longest - p.embeds.shape[1], 0)) for _, p in parts]
    masks = [functional.pad(p.full_mask(), (longest - p.embeds.shape[1], 0)) for _, p in parts]
    return _unpadded(restore_rows(embeds, order), restore_rows(masks, order))


def append_text(prefix: TokenSequence, text_embeds: Tensor, labels: Tensor) -> TokenSequence:
    """Add the text [B, L, D] after the prefix; labels [B, L] of -100 mark its padding."""
    real = labels != IGNORED_LABEL
    embeds = torch.cat([prefix.embeds, text_embeds.to(prefix.embeds.dtype)], dim=1)
    return _unpadded(embeds, torch.cat([prefix.full_mask(), real], dim=1))


def _unpadded(embeds: Tensor, mask: Tensor) -> TokenSequence:
    """A sequence whose mask is None where it hides nothing."""
    return TokenSequence(embeds=embeds, mask=None if bool(mask.all()) else mask)


def strip_bos(labels: Tensor, bos_token_id: int | None) -> Tensor:
    """Drop a leading BOS from labels [B, L]: the sequence already begins with one."""
    if bos_token_id is None or labels.shape[1] == 0:
        return labels
    return labels[:, 1:] if bool((labels[:, 0] == bos_token_id).all()) else labels


def text_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the real labels of a batch, in float32.

    Args:
        logits: [B, L + 1, V] at the last prompt position and at every text position.
        labels: [B, L] token ids, -100 for padding.
    """
    predictions = logits[:, -labels.shape[1] - 1 : -1].float()
    return functional.cross_entropy(predictions.flatten(0, 1), labels.flatten())


def token_budget(duration_s: float, tokens_per_second: float) -> int:
    """Tokens that a text of ``duration_s`` seconds of speech may need."""
    return 16 + math.ceil(duration_s * tokens_per_second)

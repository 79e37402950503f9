"""What a search of texts is given, and what it finds.

Shapes: B clips, L new tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from transformers import GenerationConfig

from avsr.decoding.options import SearchOptions

__all__ = ["SearchResult", "SearchSettings"]


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What one search is given: its options, and what the clips and the tokenizer decide.

    Attributes:
        options: resolved, see :meth:`~avsr.decoding.options.SearchOptions.resolved`.
        budgets: [B] most tokens of each clip.
        end_ids: tokens that end a text.
        pad_id: fills short rows.
    """

    options: SearchOptions
    budgets: Sequence[int]
    end_ids: Sequence[int]
    pad_id: int

    @classmethod
    def of_batch(
        cls, options: SearchOptions, tokens: GenerationConfig, budgets: Sequence[int]
    ) -> "SearchSettings":
        """Settings for clips of these budgets, with a model's special tokens."""
        ends: Any = tokens.eos_token_id
        return cls(
            options=options,
            budgets=budgets,
            end_ids=() if ends is None else (ends,) if isinstance(ends, int) else tuple(ends),
            pad_id=tokens.pad_token_id or 0,  # pyright: ignore[reportArgumentType]
        )

    @property
    def num_beams(self) -> int:
        """1 is greedy."""
        return self.options.num_beams or 1

    def of_clips(self, rows: Sequence[int]) -> "SearchSettings":
        """The settings for some clips of the batch."""
        return replace(self, budgets=[self.budgets[row] for row in rows])


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes:
        sequences: [B, L] new token ids, padded after the end.
        token_log_probs: [B, L] log-probability of each token, 0 at padding.
        lengths: [B] tokens of each text, its end included.
        n_drafted: [B] tokens proposed by a draft, where there was one.
        n_accepted: [B] how many of them were right.
    """

    sequences: Tensor
    token_log_probs: Tensor
    lengths: Tensor
    n_drafted: Tensor | None = None
    n_accepted: Tensor | None = None

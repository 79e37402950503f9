"""Greedy search over a language model: the prefix is read once, each clip stops by itself.

Shapes: B clips, A clips still read, L new tokens, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from avsr.decoding.incremental import IncrementalReader
from avsr.decoding.options import SearchOptions
from avsr.decoding.sequence import TokenSequence

_SHRINK_AT = 0.75  # finished rows are dropped once no more than this share is left


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
        n_drafted: [B] tokens proposed by a draft, where there was one.
        n_accepted: [B] how many of them were right.
        draft_log_probs: for each clip, [L] the log-probability of its draft and the end behind it,
            as a text of its own; None for a draft that was not proposed whole.
    """

    sequences: Tensor
    token_log_probs: Tensor
    n_drafted: Tensor | None = None
    n_accepted: Tensor | None = None
    draft_log_probs: tuple[Tensor | None, ...] | None = None


class BatchSearch:
    """What all searches share: the results so far, and which clips are still read."""

    def __init__(self, prefix: TokenSequence, settings: SearchSettings) -> None:
        device = prefix.embeds.device
        n_rows, longest = len(prefix.embeds), max(settings.budgets)
        self.prefix, self.num_beams = prefix, settings.num_beams
        self.ends = torch.tensor(list(settings.end_ids), dtype=torch.long, device=device)
        self.tokens = torch.full((n_rows, longest), settings.pad_id, device=device)
        self.log_probs = torch.zeros((n_rows, longest), device=device)
        self.clips = torch.arange(n_rows, device=device)  # [A] clip of each row still read
        self.budgets = torch.tensor(list(settings.budgets), device=device)  # [A]

    def result(self, n_tokens: int) -> SearchResult:
        """The first ``n_tokens`` columns of what was written down."""
        return SearchResult(
            sequences=self.tokens[:, :n_tokens], token_log_probs=self.log_probs[:, :n_tokens]
        )

    def is_end(self, token_ids: Tensor) -> Tensor:
        """Which tokens end a text."""
        return torch.isin(token_ids, self.ends)


class GreedySearch(BatchSearch):
    """The likeliest token at each step.

    Args:
        language_model: any causal language model.
        prefix: of all clips.
        settings: of one beam.
    """

    def __init__(
        self, language_model: Any, prefix: TokenSequence, settings: SearchSettings
    ) -> None:
        super().__init__(prefix, settings)
        self.reader = IncrementalReader(language_model, max(settings.budgets))

    def run(self) -> SearchResult:
        """Search until every clip has ended or used up its budget."""
        scores = self.reader.read_prefix(self.prefix)[:, -1]
        going = torch.ones_like(self.clips, dtype=torch.bool)
        n_tokens = 0
        while True:
            best, token_ids = scores.max(dim=-1)
            clips = self.clips[going]
            self.tokens[clips, n_tokens] = token_ids[going]
            self.log_probs[clips, n_tokens] = (best - scores.logsumexp(dim=-1))[going]
            n_tokens += 1
            going = going & ~self.is_end(token_ids) & (n_tokens < self.budgets)
            n_going = int(going.sum())
            if n_going == 0:
                return self.result(n_tokens)
            if n_going <= _SHRINK_AT * len(going):
                rows = going.nonzero()[:, 0]
                self.reader.keep_rows(rows)
                self.clips, self.budgets = self.clips[rows], self.budgets[rows]
                token_ids, going = token_ids[rows], going[rows]
            scores = self.reader.read(token_ids[:, None])[:, -1]

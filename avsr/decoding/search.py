"""Greedy search over a language model: the prefix is read once, each clip stops by itself.

Shapes: B clips, A clips still read, L new tokens, V vocabulary.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from avsr.decoding.incremental import IncrementalReader, text_log_probs
from avsr.decoding.rivals import Rivals, Texts
from avsr.decoding.search_settings import SearchResult, SearchSettings
from avsr.decoding.sequence import TokenSequence

_SHRINK_AT = 0.75  # finished rows are dropped once no more than this share is left


class BatchSearch:
    """What all searches share: the results so far, and which clips are still read.

    Args:
        language_model: any causal language model.
        prefix: of all clips.
        settings: of the search.
        rivals: what competes with the texts that are found; None for nothing.
    """

    def __init__(
        self,
        language_model: Any,
        prefix: TokenSequence,
        settings: SearchSettings,
        rivals: Rivals | None = None,
    ) -> None:
        device = prefix.embeds.device
        n_rows, longest = len(prefix.embeds), max(settings.budgets)
        self.language_model, self.prefix, self.settings = language_model, prefix, settings
        self.rivals = rivals or Rivals(settings)
        self.num_beams = settings.num_beams
        self.ends = torch.tensor(list(settings.end_ids), dtype=torch.long, device=device)
        self.tokens = torch.full((n_rows, longest), settings.pad_id, device=device)
        self.log_probs = torch.zeros((n_rows, longest), device=device)
        self.lengths = torch.zeros(n_rows, dtype=torch.long, device=device)
        self.scores = [-torch.inf] * n_rows  # of the texts found, as rivals are scored
        self.clips = torch.arange(n_rows, device=device)  # [A] clip of each row still read
        self.budgets = torch.tensor(list(settings.budgets), device=device)  # [A]

    def result(self) -> SearchResult:
        """What was written down, and rivals in place of texts that they beat."""
        longest = int(self.lengths.max())
        found = SearchResult(
            sequences=self.tokens[:, :longest],
            token_log_probs=self.log_probs[:, :longest],
            lengths=self.lengths,
        )
        return self.rivals.settle(found, self.scores, self.settings.pad_id)

    def is_end(self, token_ids: Tensor) -> Tensor:
        """Which tokens end a text."""
        return torch.isin(token_ids, self.ends)

    def read_apart(self, clips: Sequence[int], texts: Sequence[Texts]) -> list[list[Tensor]]:
        """Log-probabilities of each token of texts of some clips, one clip after the other."""
        return [
            text_log_probs(self.language_model, self.prefix.rows([clip]), own) if own else []
            for clip, own in zip(clips, texts, strict=True)
        ]


class GreedySearch(BatchSearch):
    """The likeliest token at each step."""

    def run(self) -> SearchResult:
        """Search until every clip has ended or used up its budget."""
        reader = IncrementalReader(self.language_model, max(self.settings.budgets))
        scores = reader.read_prefix(self.prefix)[:, -1]
        going = torch.ones_like(self.clips, dtype=torch.bool)
        n_tokens = 0
        while True:
            best, token_ids = scores.max(dim=-1)
            clips = self.clips[going]
            self.tokens[clips, n_tokens] = token_ids[going]
            self.log_probs[clips, n_tokens] = (best - scores.logsumexp(dim=-1))[going]
            n_tokens += 1
            self.lengths[clips] = n_tokens
            going = going & ~self.is_end(token_ids) & (n_tokens < self.budgets)
            n_going = int(going.sum())
            if n_going == 0:
                break
            if n_going <= _SHRINK_AT * len(going):
                rows = going.nonzero()[:, 0]
                reader.keep_rows(rows)
                self.clips, self.budgets = self.clips[rows], self.budgets[rows]
                token_ids, going = token_ids[rows], going[rows]
            scores = reader.read(token_ids[:, None])[:, -1]
        self.scores = self.log_probs.sum(dim=1).tolist()
        every = range(len(self.scores))
        self.rivals.judge_each(every, self.rivals.drafts, partial(self.read_apart, every))
        return self.result()

"""Deterministic generation from prefixes of embeddings, with the probability of each token.

Shapes: B batch, L new tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from avsr.decoding.beam_search import BeamSearch
from avsr.decoding.draft import DraftSearch
from avsr.decoding.rivals import Rivals
from avsr.decoding.rows import restore_rows, row_order
from avsr.decoding.search import GreedySearch
from avsr.decoding.search_settings import SearchResult, SearchSettings
from avsr.decoding.sequence import TokenSequence


@dataclass(frozen=True, kw_only=True)
class AvsrGeneration:
    """Generated tokens and how sure the model was of them.

    Attributes:
        sequences: [B, L] new token ids, padded after EOS.
        token_log_probs: [B, L] log-probability of each token, 0 at padding.
        sequence_scores: [B] mean log-probability of a row's tokens, EOS included.
        lengths: [B] tokens of each row, EOS included.
        n_drafted: [B] tokens that a draft proposed; None without one.
        n_accepted: [B] how many of them the language model chose too; None without a draft.
    """

    sequences: Tensor
    token_log_probs: Tensor
    sequence_scores: Tensor
    lengths: Tensor
    n_drafted: Tensor | None = None
    n_accepted: Tensor | None = None


def generate_tokens(
    language_model: Any,
    prefix: TokenSequence,
    settings: SearchSettings,
    rivals: Rivals | None = None,
) -> AvsrGeneration:
    """Continue each prefix by greedy or beam search; rivals compete with what is found."""
    search = GreedySearch if settings.num_beams == 1 else BeamSearch
    return _scored(search(language_model, prefix, settings, rivals).run())


def verify_drafts(
    language_model: Any,
    prefix: TokenSequence,
    settings: SearchSettings,
    drafts: Sequence[Sequence[int]],
    embed: Callable[[Tensor], Tensor],
    rivals: Rivals | None = None,
) -> AvsrGeneration:
    """Continue each prefix by greedy search with proposals, see :mod:`avsr.decoding.draft`."""
    return _scored(DraftSearch(language_model, prefix, settings, drafts, embed, rivals).run())


def merge_generations(parts: list[tuple[list[int], AvsrGeneration]], pad_id: int) -> AvsrGeneration:
    """Put row groups of one batch back together, padded on the right to the longest."""
    order = row_order([rows for rows, _ in parts])
    if order is None:
        return parts[0][1]
    generations = [part for _, part in parts]
    drafted = [part.n_drafted for part in generations if part.n_drafted is not None]
    accepted = [part.n_accepted for part in generations if part.n_accepted is not None]
    return AvsrGeneration(
        sequences=_join([part.sequences for part in generations], order, pad_id),
        token_log_probs=_join([part.token_log_probs for part in generations], order, 0.0),
        sequence_scores=restore_rows([part.sequence_scores for part in generations], order),
        lengths=restore_rows([part.lengths for part in generations], order),
        n_drafted=restore_rows(drafted, order) if drafted else None,
        n_accepted=restore_rows(accepted, order) if accepted else None,
    )


def real_tokens(sequences: Tensor, end_ids: Sequence[int]) -> Tensor:
    """[B, L] bool, true up to and including each row's first end."""
    ends = torch.tensor(list(end_ids), dtype=torch.long, device=sequences.device)
    ended = torch.isin(sequences, ends)
    return (ended.cumsum(dim=1) - ended.long()) == 0


def _scored(found: SearchResult) -> AvsrGeneration:
    return AvsrGeneration(
        sequences=found.sequences,
        token_log_probs=found.token_log_probs,
        sequence_scores=found.token_log_probs.sum(dim=1) / found.lengths,
        lengths=found.lengths,
        n_drafted=found.n_drafted,
        n_accepted=found.n_accepted,
    )


def _join(parts: list[Tensor], order: Tensor, fill: float) -> Tensor:
    longest = max(part.shape[1] for part in parts)
    padded = [functional.pad(part, (0, longest - part.shape[1]), value=fill) for part in parts]
    return restore_rows(padded, order)

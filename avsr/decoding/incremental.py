"""Reading with a language model step by step: the prefix once, then a few tokens at a time.

Shapes: R rows, S positions, n tokens of one step, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache

from avsr.decoding.cache import attends_to_everything, join_caches, reserve_cache
from avsr.decoding.rows import restore_rows, row_order
from avsr.decoding.sequence import TokenSequence

_LIKE = 0.75  # rows at least so long as the longest are read with it
_WORTH_IT = 128  # positions of padding that cost more than a pass of their own


class IncrementalReader:
    """A language model, what it has read, and the rows that it still reads for.

    A row's padding, wherever it lies, is neither attended to nor counted in positions.

    Args:
        language_model: any causal language model of transformers.
        n_reserved: tokens that will follow the prefix at most, as far as is known.
    """

    def __init__(self, language_model: Any, n_reserved: int) -> None:
        self._language_model = language_model
        self._n_reserved = n_reserved
        self._cache = self._new_cache()
        self._mask: Tensor | None = None  # [R, S] bool, true for real tokens; None when all are
        self._n_read: Tensor = torch.empty(0)  # [R] real tokens of each row
        self._dtype = torch.float32  # of the embeddings

    def _new_cache(self) -> Cache:
        return reserve_cache(self._language_model.config, self._n_reserved)

    @property
    def keeps_all_positions(self) -> bool:
        """Whether tokens can be read for nothing, to be hidden by :meth:`forget` afterwards."""
        return attends_to_everything(self._cache)

    def read_prefix(self, prefix: TokenSequence, n_scored: int = 1) -> Tensor:
        """Read the prefixes of all rows, those of unlike lengths apart, so that little is padding.

        Returns:
            [R, n_scored, V] float32 scores at the last positions.
        """
        self._mask = prefix.mask
        self._n_read = prefix.full_mask().sum(dim=1)
        self._dtype = prefix.embeds.dtype
        groups = like_lengths(self._n_read.tolist()) if self.keeps_all_positions else []
        if len(groups) < 2:
            return self._run(prefix.mask, prefix.positions(), n_scored, inputs_embeds=prefix.embeds)
        caches, scores = [], []
        for rows in groups:
            part = prefix.rows(rows).without_padding()
            self._cache = self._new_cache()
            scores.append(
                self._run(part.mask, part.positions(), n_scored, inputs_embeds=part.embeds)
            )
            caches.append(self._cache)
        order = row_order(groups)
        self._cache = join_caches(caches, order)
        return restore_rows(scores, order)

    def read(self, token_ids: Tensor) -> Tensor:
        """Read the next tokens [R, n] of each row; returns their scores, [R, n, V] float32."""
        n_tokens = token_ids.shape[1]
        positions = self._n_read[:, None] + torch.arange(n_tokens, device=self._n_read.device)
        if self._mask is not None:
            self._mask = functional.pad(self._mask, (0, n_tokens), value=True)
        self._n_read = self._n_read + n_tokens
        return self._run(self._mask, positions, n_tokens, input_ids=token_ids)

    def forget(self, kept: Tensor) -> None:
        """Keep of the last n tokens read only where ``kept`` [R, n] bool says so.

        What is kept of a row must come before what is not.
        """
        if bool(kept.all()):
            return
        if self._mask is None:
            shape = (len(kept), self._cache.get_seq_length())
            self._mask = torch.ones(shape, dtype=torch.bool, device=kept.device)
        self._mask = torch.cat([self._mask[:, : -kept.shape[1]], kept], dim=1)
        self._n_read = self._n_read - (~kept).sum(dim=1)

    def repeat(self, n_times: int) -> None:
        """Go on so many times side by side with what every row has read."""
        self._cache.batch_repeat_interleave(n_times)
        self._n_read = self._n_read.repeat_interleave(n_times)
        if self._mask is not None:
            self._mask = self._mask.repeat_interleave(n_times, dim=0)

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with some rows only."""
        self._cache.batch_select_indices(rows)
        self._n_read = self._n_read[rows]
        self._mask = None if self._mask is None else self._mask[rows]

    def _run(
        self, mask: Tensor | None, positions: Tensor | None, n_scored: int, **inputs: Tensor
    ) -> Tensor:
        output = self._language_model(
            **inputs,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=n_scored,
        )
        return output.logits.float()


def like_lengths(lengths: Sequence[int]) -> list[list[int]]:
    """Row numbers in groups of similar length, the longest first; one where padding is little."""
    if len(lengths) * max(lengths) - sum(lengths) < _WORTH_IT:
        return [list(range(len(lengths)))]
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if groups and lengths[row] >= _LIKE * lengths[groups[-1][0]]:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def text_log_probs(
    language_model: Any, prefix: TokenSequence, texts: Sequence[Sequence[int]]
) -> list[Tensor]:
    """[L] log-probability of each token of each text behind one prefix, which is read once."""
    rows = [torch.tensor(list(text), device=prefix.embeds.device) for text in texts]
    token_ids = pad_sequence(rows, batch_first=True)
    reader = IncrementalReader(language_model, token_ids.shape[1])
    first = reader.read_prefix(prefix.without_padding())  # [1, 1, V]
    reader.repeat(len(texts))
    scores = torch.cat([first.expand(len(texts), -1, -1), reader.read(token_ids)[:, :-1]], dim=1)
    picked = scores.log_softmax(dim=-1).gather(-1, token_ids[..., None])[..., 0]
    return [row[: len(text)] for row, text in zip(picked, texts, strict=True)]

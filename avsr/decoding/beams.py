"""Reading for several beams of a clip at once, with the prefix kept only once.

All beams of a clip lie in one row: every step appends one token for each beam, and a mask shows a
token only what its own beam has read before. So nothing is repeated for the beams, nothing moves
when they change places, and attention reads the prefix once for all of them. The mask makes a tree
of the row, as that of SpecInfer does (Miao et al., arXiv 2305.09781) for proposals.
Shapes: A clips, K beams, S positions of the prefix, N tokens read after it, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from avsr.decoding.incremental import IncrementalReader, text_log_probs
from avsr.decoding.sequence import TokenSequence
from avsr.decoding.text_tree import TextTree


class TreeReader(IncrementalReader):
    """A language model that attends to everything, reading for K beams of each clip.

    Args:
        language_model: any causal language model of transformers.
        num_beams: of every clip.
    """

    def __init__(self, language_model: Any, num_beams: int) -> None:
        super().__init__(language_model, n_reserved=8 * num_beams)
        self._num_beams = num_beams
        self._first: Tensor = torch.empty(0)  # [A, V] scores behind the prefix
        self._shown: Tensor = torch.empty(0)  # [A, K, S + N] bool: what each beam has read

    def read_prefix(self, prefix: TokenSequence, n_scored: int = 1) -> Tensor:
        """Read the prefixes of all clips at once; all their beams have then read them.

        Returns:
            [A, n_scored, V] float32 scores at the last positions.
        """
        self._shown = prefix.full_mask()[:, None].expand(-1, self._num_beams, -1)
        scores = super().read_prefix(prefix, n_scored)
        self._first = scores[:, -1]
        return scores

    def read_texts(self, texts: Sequence[Sequence[Sequence[int]]]) -> list[list[Tensor]]:
        """Look at whole texts behind the prefixes; nothing of them stays read.

        To be called before any beam is read.

        Args:
            texts: of each clip, token ids.

        Returns:
            The same with the [L] log-probability of each token.
        """
        trees = [TextTree(own) for own in texts]
        n_tokens = max(len(tree.tokens) for tree in trees)
        scores = self._first[:, None]
        if n_tokens:
            behind = self._read_trees(trees, n_tokens)
            scores = torch.cat([behind, scores], dim=1)  # the prefix is the last one, place -1
        return [
            [
                _chosen(own[torch.tensor(path, device=own.device)], text)
                for path, text in zip(tree.paths, texts_of_clip, strict=True)
            ]
            for own, tree, texts_of_clip in zip(scores, trees, texts, strict=True)
        ]

    def _read_trees(self, trees: Sequence[TextTree], n_tokens: int) -> Tensor:
        """Scores [A, M, V] behind each token of a tree of every clip."""
        device = self._first.device
        token_ids = torch.zeros((len(trees), n_tokens), dtype=torch.long)
        depths = torch.zeros_like(token_ids)
        follows = torch.zeros((len(trees), n_tokens, n_tokens), dtype=torch.bool)
        for row, tree in enumerate(trees):
            n_own, shown = len(tree.tokens), tree.shown()
            token_ids[row, :n_own] = torch.tensor(tree.tokens, dtype=torch.long)
            depths[row, :n_own] = shown.sum(dim=1) - 1
            follows[row, :n_own, :n_own] = shown
        before = self._shown[:, :1].expand(-1, n_tokens, -1)
        scores = self._run_shown(
            torch.cat([before, follows.to(device)], dim=-1),
            self._n_read[:, None] + depths.to(device),
            token_ids.to(device),
        )
        layers: Any = self._cache.layers
        for layer in layers:
            layer.forget_last(n_tokens)
        return scores

    def read_beams(self, token_ids: Tensor, parents: Tensor) -> Tensor:
        """Read the next token of every beam.

        Args:
            token_ids: [A, K].
            parents: [A, K] which beam of the last step each of them continues.

        Returns:
            [A, K, V] float32 scores.
        """
        clips = torch.arange(len(parents), device=parents.device)[:, None]
        itself = torch.eye(self._num_beams, dtype=torch.bool, device=parents.device)
        self._shown = torch.cat(
            [self._shown[clips, parents], itself.expand(len(parents), -1, -1)], dim=-1
        )
        positions = self._n_read[:, None].expand(-1, self._num_beams)
        self._n_read = self._n_read + 1
        return self._run_shown(self._shown, positions, token_ids)

    def _run_shown(self, shown: Tensor, positions: Tensor, token_ids: Tensor) -> Tensor:
        """Read tokens [A, n] at positions [A, n] to which ``shown`` [A, n, S] is visible."""
        hidden = torch.zeros(shown.shape, dtype=self._dtype, device=shown.device)
        hidden.masked_fill_(~shown, torch.finfo(self._dtype).min)
        return self._run(hidden[:, None], positions, token_ids.shape[1], input_ids=token_ids)

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with some clips only."""
        super().keep_rows(rows)
        self._shown, self._first = self._shown[rows], self._first[rows]


class RepeatingReader(IncrementalReader):
    """The same for models some of whose layers forget: every beam has a row of its own.

    Args:
        language_model: any causal language model of transformers.
        num_beams: of every clip.
    """

    def __init__(self, language_model: Any, num_beams: int) -> None:
        super().__init__(language_model, n_reserved=0)
        self._num_beams = num_beams
        self._is_split = False
        self._prefix = TokenSequence(embeds=torch.empty(0), mask=None)

    def read_prefix(self, prefix: TokenSequence, n_scored: int = 1) -> Tensor:
        """Read the prefixes of all clips at once, see :meth:`TreeReader.read_prefix`."""
        self._prefix = prefix
        return super().read_prefix(prefix, n_scored)

    def read_texts(self, texts: Sequence[Sequence[Sequence[int]]]) -> list[list[Tensor]]:
        """Look at whole texts, see :meth:`TreeReader.read_texts`; each clip's prefix anew."""
        return [
            text_log_probs(self._language_model, self._prefix.rows([row]), own) if own else []
            for row, own in enumerate(texts)
        ]

    def read_beams(self, token_ids: Tensor, parents: Tensor) -> Tensor:
        """Read the next token of every beam, see :meth:`TreeReader.read_beams`."""
        if not self._is_split:  # until now all beams of a clip have read the same
            self.repeat(self._num_beams)
            self._is_split = True
        rows = self._rows_of(torch.arange(len(parents), device=parents.device), parents)
        self._cache.reorder_cache(rows)  # pyright: ignore[reportArgumentType]
        return self.read(token_ids.flatten()[:, None])[:, -1].unflatten(0, (-1, self._num_beams))

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with some clips only."""
        beams = torch.arange(self._num_beams, device=rows.device).expand(len(rows), -1)
        self._prefix = self._prefix.rows(rows.tolist())
        super().keep_rows(self._rows_of(rows, beams) if self._is_split else rows)

    def _rows_of(self, clips: Tensor, beams: Tensor) -> Tensor:
        """Rows of the cache, [A * K], where ``beams`` [A, K] of ``clips`` [A] lie."""
        return (clips[:, None] * self._num_beams + beams).flatten()


def beam_reader(language_model: Any, num_beams: int) -> TreeReader | RepeatingReader:
    """What can read for several beams with a language model."""
    reader = TreeReader(language_model, num_beams)
    return reader if reader.keeps_all_positions else RepeatingReader(language_model, num_beams)


def _chosen(scores: Tensor, text: Sequence[int]) -> Tensor:
    """[L] log-probability of each token of a text, by the scores [L, V] before it."""
    token_ids = torch.tensor(list(text), device=scores.device)[:, None]
    return scores.gather(-1, token_ids)[:, 0] - scores.logsumexp(dim=-1)

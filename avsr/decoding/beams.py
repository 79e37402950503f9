"""Reading for several beams of a clip at once, with the prefix kept only once.

All beams of a clip lie in one row: every step appends one token for each beam, and a mask shows a
token only what its own beam has read before. So nothing is repeated for the beams, nothing moves
when they change places, and attention reads the prefix once for all of them. The mask makes a tree
of the row, as that of SpecInfer does (Miao et al., arXiv 2305.09781) for proposals.
Shapes: A clips, K beams, S positions of the prefix, N tokens read after it, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

from avsr.decoding.incremental import IncrementalReader
from avsr.decoding.sequence import TokenSequence


class TreeReader(IncrementalReader):
    """A language model that attends to everything, reading for K beams of each clip.

    Args:
        language_model: any causal language model of transformers.
        num_beams: of every clip.
    """

    def __init__(self, language_model: Any, num_beams: int) -> None:
        super().__init__(language_model, n_reserved=8 * num_beams)
        self._num_beams = num_beams
        self._shown: Tensor = torch.empty(0)  # [A, K, S + N] bool: what each beam has read

    def read_prefix(self, prefix: TokenSequence, n_scored: int = 1) -> Tensor:
        """Read the prefixes of all clips at once; all their beams have then read them.

        Returns:
            [A, n_scored, V] float32 scores at the last positions.
        """
        self._shown = prefix.full_mask()[:, None].expand(-1, self._num_beams, -1)
        return super().read_prefix(prefix, n_scored)

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
        hidden = torch.zeros(self._shown.shape, dtype=self._dtype, device=parents.device)
        hidden.masked_fill_(~self._shown, torch.finfo(self._dtype).min)
        return self._run(hidden[:, None], positions, self._num_beams, input_ids=token_ids)

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with some clips only."""
        super().keep_rows(rows)
        self._shown = self._shown[rows]


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
        super().keep_rows(self._rows_of(rows, beams) if self._is_split else rows)

    def _rows_of(self, clips: Tensor, beams: Tensor) -> Tensor:
        """Rows of the cache, [A * K], where ``beams`` [A, K] of ``clips`` [A] lie."""
        return (clips[:, None] * self._num_beams + beams).flatten()


def beam_reader(language_model: Any, num_beams: int) -> TreeReader | RepeatingReader:
    """What can read for several beams with a language model."""
    reader = TreeReader(language_model, num_beams)
    return reader if reader.keeps_all_positions else RepeatingReader(language_model, num_beams)

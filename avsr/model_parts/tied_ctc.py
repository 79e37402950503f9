"""Tied CTC: what the language model reads, against its own embeddings of some word pieces.

A head with an output for each of 50 000 tokens would be larger than all else that is trained. The
projected tokens of a stream lie where the language model keeps its words, so their cosines to the
embeddings of the tokens that common words need (the pieces) are scores already; all other tokens
are spelt with pieces.
Shapes: B batch, S tokens of a stream, D width of the language model, P pieces, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MOST_PIECES", "CtcPieces", "TiedCtc"]

MOST_PIECES = 16  # of a token; no word needs more, rows of dashes are cut
_SCALE = 30.0  # of the cosines, where training begins
_BLANK_SPREAD = 0.05


class TiedCtc(nn.Module):
    """Cosine to the embeddings of the pieces and to a learned blank, times a learned scale.

    Args:
        size: D.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.blank_vector = nn.Parameter(torch.randn(size) * _BLANK_SPREAD)
        self.scale = nn.Parameter(torch.full((1,), _SCALE))  # sharded training takes no scalars

    def forward(self, tokens: Tensor, pieces: Tensor) -> Tensor:
        """Score projected tokens.

        Args:
            tokens: [B, S, D].
            pieces: [P, D] their embeddings.

        Returns:
            [B, S, P + 1] float32, the blank last.
        """
        targets = torch.cat([pieces.float(), self.blank_vector.float()[None]])
        cosines = functional.normalize(tokens.float(), dim=-1) @ functional.normalize(targets).T
        return self.scale.float() * cosines


class CtcPieces(nn.Module):
    """The pieces that tied heads may say, and every token of the vocabulary spelt with them.

    Until :meth:`fill` is called or weights are loaded, only the pieces themselves can be spelt.

    Args:
        ids: [P] token ids.
        vocab_size: V.
    """

    ids: Tensor
    spelling: Tensor

    def __init__(self, ids: Sequence[int], vocab_size: int) -> None:
        super().__init__()
        pieces = torch.tensor(list(ids))
        dtype = torch.int16 if len(pieces) <= torch.iinfo(torch.int16).max else torch.int32
        spelling = torch.full((vocab_size, MOST_PIECES), -1, dtype=dtype)
        spelling[pieces, 0] = torch.arange(len(pieces), dtype=dtype)
        self.register_buffer("ids", pieces, persistent=False)
        self.register_buffer("spelling", spelling)

    def fill(self, spellings: Sequence[Sequence[int]]) -> None:
        """Say how tokens are spelt, see :func:`avsr.tokenizer.piece_spellings`."""
        rows = [[*rows[:MOST_PIECES], *[-1] * (MOST_PIECES - len(rows))] for rows in spellings]
        self.spelling[: len(rows)] = torch.tensor(rows).to(self.spelling)

    def spell(self, token_ids: Sequence[int]) -> list[list[int]]:
        """Numbers of the pieces of each token; none for one that is not spoken."""
        chosen = torch.tensor(list(token_ids), dtype=torch.long, device=self.spelling.device)
        return [[piece for piece in row if piece >= 0] for row in self.spelling[chosen].tolist()]

    def tokens(self, units: Sequence[int]) -> list[int]:
        """Token ids of pieces by their numbers."""
        return self.ids[
            torch.tensor(list(units), dtype=torch.long, device=self.ids.device)
        ].tolist()

    def embeddings(self, table: nn.Module) -> Tensor:
        """[P, D] of the language model's embedding table."""
        return table(self.ids)

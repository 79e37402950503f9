"""Tied CTC: scores of projected tokens against the language model's own embeddings."""

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALE = 30.0  # of the cosines, where training begins


class TiedCtc(nn.Module):
    """Cosine to the embeddings of some word pieces and to a learned blank, times a learned scale.

    Args:
        embeddings: [V, D] of the language model; not trained.
        pieces: [P] token ids that may be said.
    """

    def __init__(self, embeddings: Tensor, pieces: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", functional.normalize(embeddings[pieces], dim=-1))
        self.blank = len(pieces)
        self.blank_vector = nn.Parameter(torch.randn(embeddings.shape[1]) * 0.05)
        self.scale = nn.Parameter(torch.tensor(SCALE))

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, S, D] projected tokens to [B, S, P + 1] scores, the blank last."""
        blank = functional.normalize(self.blank_vector, dim=-1)[None]
        table = torch.cat([self.get_buffer("table"), blank])
        return self.scale * functional.normalize(tokens, dim=-1) @ table.T


def greedy_pieces(scores: Tensor, blank: int) -> list[int]:
    """Best path of one clip, [S, P + 1]: repeats merged, blanks dropped."""
    best = scores.argmax(-1)
    kept = best[torch.cat([torch.tensor([True]), best[1:] != best[:-1]])]
    return kept[kept != blank].tolist()

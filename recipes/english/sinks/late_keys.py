"""Keys of sound and lips left out of the language model's late layers, without training.

After the idea of ToDRE (arXiv 2505.18757): what these tokens say has moved into the text's by then.
Nothing reads what happens to a token whose key is left out, so it is as if it had ended there.
Shapes: B batch, H heads, Q queries of a block, S positions of the prefix.
"""

import torch
from torch import Tensor
from torch.nn import functional


class LateKeys:
    """An attention tap for one clip that leaves out the keys that are asked least.

    Asked by the last of the prefix, the prompt, in the layer before; never by the text.

    Args:
        streamed: [S] bool, tokens of sound and lips.
        first_layer: from 2, of layers that count from 1; it and all above do without.
        share: of those tokens that are left out, 1 for all.
    """

    def __init__(self, streamed: Tensor, first_layer: int, share: float) -> None:
        self._streamed = streamed
        self._first = first_layer - 1
        self._n_dropped = round(share * int(streamed.sum()))
        self._first_asking = int(streamed.nonzero()[-1]) + 1  # the end marker and the prompt
        self._asked = torch.zeros(len(streamed))

    @property
    def dropped(self) -> Tensor:
        """[S] bool, known once the layer before has run."""
        asked = self._asked.masked_fill(~self._streamed, torch.inf)
        dropped = torch.zeros_like(self._streamed)
        dropped[asked.argsort(stable=True)[: self._n_dropped]] = True
        return dropped

    def __call__(self, layer: int, first_query: int, weights: Tensor) -> Tensor:
        """Change a block [1, H, Q, keys] of a layer (from 0)."""
        n_prefix = len(self._streamed)
        if layer == self._first - 1 and first_query < n_prefix:
            asking = slice(max(0, self._first_asking - first_query), n_prefix - first_query)
            own = weights[0, :, asking, :n_prefix].sum(dim=(0, 1))
            earlier = self._asked if first_query else torch.zeros(n_prefix)
            self._asked = earlier + functional.pad(own, (0, n_prefix - len(own)))
        if layer < self._first:
            return weights
        dropped = functional.pad(self.dropped, (0, weights.shape[-1] - n_prefix))
        left = weights.masked_fill(dropped, 0.0)
        return left / left.sum(dim=-1, keepdim=True)

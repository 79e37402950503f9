"""A language in which a head has something to do now and then: bigrams with copying.

After one of a few trigger tokens comes the token *before* the trigger; everywhere else the next
token depends on the last one alone. A head that copies must stay silent most of the time, and a
softmax can only be silent by looking at a token that says nothing. Transformers of one to three
layers trained on this grow attention sinks with peaks in their residual stream (Guo et al., arXiv
2410.13835, the Bigram-Backcopy task); the sentences of the GRID grammar alone give no such reason.
"""

import numpy as np
import torch
from torch import Tensor

N_TRIGGERS = 4
TRIGGER_SHARE = 0.15  # of all transitions
FAVOURITES = 6  # tokens that commonly follow each


class ToyLanguage:
    """Draws sequences of token ids between ``first`` and ``last`` (exclusive).

    Args:
        first: lowest token id that is used; lower ones are special.
        last: one more than the highest.
        seed: fixes the language and everything drawn from it.
    """

    def __init__(self, first: int, last: int, seed: int = 0) -> None:
        generator = np.random.default_rng((seed, 0))
        n_tokens = last - first
        table = np.full((n_tokens, n_tokens), 0.1 / n_tokens)
        for row in table:
            chosen = generator.choice(n_tokens, FAVOURITES, replace=False)
            row[chosen] += 0.9 * generator.dirichlet(np.ones(FAVOURITES))
        triggers = generator.choice(n_tokens, N_TRIGGERS, replace=False)
        table[:, triggers] = 0
        table *= (1 - TRIGGER_SHARE) / table.sum(axis=1, keepdims=True)
        table[:, triggers] = TRIGGER_SHARE / N_TRIGGERS
        self._cumulative = table.cumsum(axis=1)
        self._is_trigger = np.isin(np.arange(n_tokens), triggers)
        self._first = first
        self._seed = seed

    def draw(self, step: int, size: int, length: int) -> Tensor:
        """The batch of a step, [size, length] token ids."""
        generator = np.random.default_rng((self._seed, 1, step))
        n_tokens = len(self._cumulative)
        tokens = np.empty((size, length), dtype=np.int64)
        tokens[:, 0] = generator.integers(n_tokens, size=size)
        for position in range(1, length):
            last = tokens[:, position - 1]
            drawn = (generator.random((size, 1)) > self._cumulative[last]).sum(axis=1)
            tokens[:, position] = drawn.clip(max=n_tokens - 1)
            if position > 1:
                copies = self._is_trigger[last]
                tokens[copies, position] = tokens[copies, position - 2]
        return torch.from_numpy(tokens + self._first)

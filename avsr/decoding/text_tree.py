"""Several texts behind one prefix: what some of them begin with is there once.

Shapes: M tokens of the tree.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["TextTree"]

_PREFIX = -1  # what the first tokens follow


class TextTree:
    """The tokens of some texts, but the last of each, which nothing follows.

    Attributes:
        tokens: [M] token ids, each after the one that it follows.
        paths: for each text, where the tokens stand that its own follow; -1 is the prefix.
    """

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.tokens: list[int] = []
        self.paths: list[list[int]] = []
        self._parents: list[int] = []
        places: dict[tuple[int, int], int] = {}  # of a token behind another
        for text in texts:
            path = [_PREFIX]
            for token in text[:-1]:
                step = (path[-1], token)
                if step not in places:
                    places[step] = len(self.tokens)
                    self.tokens.append(token)
                    self._parents.append(path[-1])
                path.append(places[step])
            self.paths.append(path[: len(text)])

    def shown(self) -> Tensor:
        """[M, M] bool: what each token follows, and itself."""
        shown = torch.eye(len(self.tokens), dtype=torch.bool)
        for place, parent in enumerate(self._parents):
            if parent != _PREFIX:
                shown[place] |= shown[parent]
        return shown

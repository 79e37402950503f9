"""Are sinks a matter of direction? Turn a token's hidden state and see whether the sink follows.

The test of arXiv 2510.22603: before the layer in which a sink arises, its hidden state is replaced
by its nearest non-sink's direction at its own norm, and the sink should vanish; a token that is
none is turned towards the first token, and should become one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from avsr.sinks.analysis import LayerEdit, SinkAnalysis

Analyse = Callable[[LayerEdit], SinkAnalysis]


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """One token turned towards another.

    Attributes:
        token: the position that was turned.
        towards: the position that gave the direction.
        layer: turned after this layer; 0: the embeddings.
        was_sink: whether the token was a sink before (in any later layer).
        is_sink: whether it is one now.
        received: attention it gets, mean over the later layers, before and after.
        peak: its largest activation over the median in the later layers, before and after.
        after: the whole analysis with the token turned.
    """

    token: int
    towards: int
    layer: int
    was_sink: bool
    is_sink: bool
    received: tuple[float, float]
    peak: tuple[float, float]
    after: SinkAnalysis


def rotation_test(
    before: SinkAnalysis, analyse: Analyse
) -> tuple[Rotation | None, Rotation | None]:
    """Turn the strongest sink away, and an ordinary token towards the first.

    Args:
        before: the analysis of the model as it is.
        analyse: repeats it with an edit.

    Returns:
        A sink turned to its nearest non-sink, and a non-sink turned to the first token; each None
        where there is no such token.
    """
    any_layer = before.is_sink.any(axis=0)
    sinks = np.flatnonzero(any_layer)
    others = np.flatnonzero(~any_layer & _judged(before))
    if not len(others):
        return None, None
    away = None
    if len(sinks):
        strongest = int(sinks[before.coverage[:, sinks].sum(axis=0).argmax()])
        nearest = int(others[np.abs(others - strongest).argmin()])
        away = _turn(before, analyse, strongest, nearest, _layer_before(before, strongest))
    chosen = int(others[len(others) // 3])
    if chosen == 0:
        return away, None
    return away, _turn(before, analyse, chosen, 0, _layer_before(before, 0))


def _judged(analysis: SinkAnalysis) -> np.ndarray:
    n_tokens = analysis.received.shape[1]
    return np.arange(n_tokens) < n_tokens - analysis.settings.min_later


def _layer_before(analysis: SinkAnalysis, token: int) -> int:
    """The last layer before the token is a sink or has massive activations."""
    layers = (np.flatnonzero(analysis.is_sink[:, token]) + 1).tolist()
    layers += [layer for layer, found in analysis.massive.items() if token in found]
    return min(layers, default=2) - 1


def _turn(before: SinkAnalysis, analyse: Analyse, token: int, towards: int, layer: int) -> Rotation:
    def edit(number: int, value: Tensor) -> Tensor | None:
        if number != layer:
            return None
        turned = value.clone()
        turned[0, token] = value[0, towards] * (value[0, token].norm() / value[0, towards].norm())
        return turned

    after = analyse(edit)
    later = slice(layer, None)  # attention of layers layer + 1 .. L; outputs likewise
    both = (before, after)
    return Rotation(
        token=token,
        towards=towards,
        layer=layer,
        was_sink=bool(before.is_sink[later, token].any()),
        is_sink=bool(after.is_sink[later, token].any()),
        received=tuple(float(a.received[later, token].mean()) for a in both),  # pyright: ignore
        peak=tuple(float(a.peaks[layer + 1 :, token].max()) for a in both),  # pyright: ignore
        after=after,
    )

"""Are sinks a matter of direction? Turn a token's hidden state and see whether the sink follows.

The test of arXiv 2510.22603: before the layer in which a sink arises, its hidden state is replaced
by its nearest non-sink's direction at its own norm, and the sink should vanish; a token that is
none is turned towards the first token, and should become one. A token that becomes a sink more than
once is turned before each of these layers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from avsr.sinks.analysis import LayerEdit, SinkAnalysis, SinkOrigin

Analyse = Callable[[LayerEdit], SinkAnalysis]


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """One token turned towards another.

    Attributes:
        token: the position that was turned.
        towards: the position that gave the direction.
        layer: turned after this layer; 0: the embeddings.
        first: first of the layers that are looked at: those in which the sink in question is one.
        last: last of them.
        was_sink: whether the token was a sink before in at least half of these layers.
        is_sink: whether it is one now.
        received: attention it gets, mean over these layers, before and after.
        peak: its largest activation over the median after these layers, before and after.
        after: the whole analysis with the token turned.
    """

    token: int
    towards: int
    layer: int
    first: int
    last: int
    was_sink: bool
    is_sink: bool
    received: tuple[float, float]
    peak: tuple[float, float]
    after: SinkAnalysis


def rotation_test(before: SinkAnalysis, analyse: Analyse) -> tuple[Rotation, ...]:
    """Turn the strongest sink away, and an ordinary token towards the first.

    Args:
        before: the analysis of the model as it is.
        analyse: repeats it with an edit.

    Returns:
        For each origin of the strongest sink it turned to its nearest non-sink; then, for each
        origin of the first token, a non-sink turned to that. Nothing where there is no such token.
    """
    sinks = {sink.index: sink for sink in before.sinks}
    any_layer = before.is_sink.any(axis=0)
    others = np.flatnonzero(~any_layer & _judged(before))
    if not len(others):
        return ()
    turns: list[tuple[int, int, SinkOrigin]] = []
    if sinks:
        strongest = max(sinks, key=lambda i: sinks[i].received * len(sinks[i].layers))
        nearest = int(others[np.abs(others - strongest).argmin()])
        turns += [(strongest, nearest, origin) for origin in sinks[strongest].origins]
    chosen = int(others[len(others) // 3])
    if 0 in sinks and chosen:
        turns += [(chosen, 0, origin) for origin in sinks[0].origins]
    return tuple(_turn(before, analyse, *turn) for turn in turns)


def _judged(analysis: SinkAnalysis) -> np.ndarray:
    n_tokens = analysis.received.shape[1]
    return np.arange(n_tokens) < n_tokens - analysis.settings.min_later


def _turn(
    before: SinkAnalysis, analyse: Analyse, token: int, towards: int, origin: SinkOrigin
) -> Rotation:
    layer = max(0, origin.layer - 1)

    def edit(number: int, value: Tensor) -> Tensor | None:
        if number != layer:
            return None
        turned = value.clone()
        turned[0, token] = value[0, towards] * (value[0, token].norm() / value[0, towards].norm())
        return turned

    after = analyse(edit)
    run = slice(origin.first - 1, origin.last)
    was_sink, is_sink = (bool(a.is_sink[run, token].mean() >= 0.5) for a in (before, after))
    attention = [float(a.received[run, token].mean()) for a in (before, after)]
    peaks = [float(a.peaks[layer + 1 : origin.last + 1, token].max()) for a in (before, after)]
    return Rotation(
        token=token,
        towards=towards,
        layer=layer,
        first=origin.first,
        last=origin.last,
        was_sink=was_sink,
        is_sink=is_sink,
        received=(attention[0], attention[1]),
        peak=(peaks[0], peaks[1]),
        after=after,
    )

"""How many sinks a language model has on a batch, in a few numbers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from avsr_adapters import (
    AttentionStatistics,
    cosine_to_first,
    find_sinks,
    magnitude_ratios,
    observed_layers,
    tapped_attention,
)


class BatchSinks:
    """Watches a language model read a batch of rows of one length, without padding.

    Args:
        language_model: any causal language model.
        run: makes it read the batch, in one call.
        n_text: tokens after the prefix, which are not looked at (they only look back).

    Attributes:
        sinks: [L, B, S] bool, prefix and text.
        received: [L, B, S] attention that each token gets.
        peaks: [B, S] largest activation over the median of its layer, largest of the layers.
        cosines: [L, B, S] cosine to the first token after each layer.
    """

    @torch.no_grad()
    def __init__(self, language_model: Any, run: Callable[[], Any], n_text: int = 0) -> None:
        self._n_text = n_text
        self._statistics: AttentionStatistics | None = None
        self._mask = torch.empty(0)
        peaks, cosines = [], []

        def look(layer: int, place: str, value: Tensor) -> None:
            if place == "embeddings":
                self._mask = torch.ones(value.shape[:2], dtype=torch.bool)
                self._statistics = AttentionStatistics(self._mask)
            elif place == "output":
                peaks.append(magnitude_ratios(value, self._mask).amax(dim=-1))
                cosines.append(cosine_to_first(value, self._mask))

        with tapped_attention(language_model, self._tap), observed_layers(language_model, look):
            run()
        assert self._statistics is not None
        self.sinks = find_sinks(self._statistics)
        self.received = self._statistics.received()
        self.peaks = torch.stack(peaks).amax(dim=0)
        self.cosines = torch.stack(cosines)

    def _tap(self, layer: int, first_query: int, weights: Tensor) -> Tensor:
        assert self._statistics is not None
        return self._statistics(layer, first_query, weights)

    def describe(self) -> dict[str, float]:
        """Means over rows, and over all layers but the first, where sinks never are.

        Returns:
            first_attention: attention that the first token gets.
            first_is_sink: share of rows and layers in which it is a sink.
            other_sinks: other tokens of the prefix that are one, number per row and layer.
            other_sink_tokens: other tokens that are one in any layer, number per row.
            peak: largest activation over the median of its layer, median row.
            peak_others: the same without the first token.
            cosine: mean squared cosine to the first token, layers 2 .. L-1: the loss.
            cosine_abs: mean magnitude of that cosine.
        """
        end = self.sinks.shape[-1] - self._n_text
        sinks = self.sinks[1:, :, :end].float()
        inner = self.cosines[1:-1, :, 1:end]
        values = {
            "first_attention": self.received[1:, :, 0].mean(),
            "first_is_sink": sinks[:, :, 0].mean(),
            "other_sinks": sinks[:, :, 1:].sum(dim=-1).mean(),
            "other_sink_tokens": sinks[:, :, 1:].amax(dim=0).sum(dim=-1).mean(),
            "peak": self.peaks[:, :end].amax(dim=-1).median(),
            "peak_others": self.peaks[:, 1:end].amax(dim=-1).median(),
        }
        if inner.numel():
            values |= {"cosine": inner.square().mean(), "cosine_abs": inner.abs().mean()}
        return {name: round(value.item(), 5) for name, value in values.items()}

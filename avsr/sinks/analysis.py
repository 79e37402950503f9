"""One forward pass of a causal language model, and what it says about attention sinks.

Statistics are accumulated layer by layer while the model runs: memory grows with layers times
tokens. Maps of token by token are kept only where asked for. Shapes: L layers, S positions, D
hidden size. Layers count from 1, as in the papers; 0 is the input of the first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avsr.sinks.tokens import TokenLabel
from avsr_adapters import (
    AttentionStatistics,
    cosine_to_first,
    decoder_layers,
    find_sinks,
    magnitude_ratios,
    observed_layers,
    tapped_attention,
)
from avsr_adapters.sink_measures import (
    ATTENTION_FACTOR,
    MASSIVE_FACTOR,
    MIN_LATER_TOKENS,
    SINK_COVERAGE,
)

LayerEdit = Callable[[int, Tensor], Tensor | None]
MIN_GAP = 3  # layers from one run of sink layers to the next: one alone may miss the threshold


@dataclass(frozen=True, kw_only=True)
class SinkSettings:
    """When a token is called a sink.

    The papers read sinks off curves. Here a token is a sink of a layer if at least ``coverage`` of
    the tokens after it give it ``factor`` times what each would give to every token alike (see
    :func:`avsr_adapters.sink_measures.find_sinks` for why), and an activation is massive from
    ``massive`` times the layer's median magnitude on, as in the papers.

    Attributes:
        factor: times the equal share; 1 is what uniform attention gives.
        coverage: share of the later tokens.
        min_later: tokens with fewer after them are not judged.
        massive: times the median.
        maps: keep the maps of token by token.
        map_layer: layer whose token-token cosines are kept; None: the middle.
    """

    factor: float = ATTENTION_FACTOR
    coverage: float = SINK_COVERAGE
    min_later: int = MIN_LATER_TOKENS
    massive: float = MASSIVE_FACTOR
    maps: bool = False
    map_layer: int | None = None


@dataclass(frozen=True, kw_only=True)
class SinkOrigin:
    """Where a token became a sink. A deep model may make one, erase it, and make it again.

    Attributes:
        first: first layer of the run in which it is a sink; runs are at least ``MIN_GAP`` layers
            apart.
        last: last layer of the run.
        layer: the layer before ``first`` that raised the token's largest activation most; 0 for a
            token that is a sink of layer 1 already.
        part: "attention" or "mlp", the part of that layer with the larger output; "input" for 0.
        feature: index of the largest activation after that layer.
    """

    first: int
    last: int
    layer: int
    part: str
    feature: int


@dataclass(frozen=True, kw_only=True)
class SinkToken:
    """A token that is a sink in at least one layer.

    Attributes:
        index: its position.
        label: what it stands for.
        layers: layers in which it is one.
        received: attention it gets, mean over those layers.
        massive_layers: layers after which it has massive activations.
        massive_features: their indices, over all layers.
        origins: one for each run of layers, from the first to the last.
    """

    index: int
    label: TokenLabel
    layers: tuple[int, ...]
    received: float
    massive_layers: tuple[int, ...]
    massive_features: tuple[int, ...]
    origins: tuple[SinkOrigin, ...]


@dataclass(frozen=True, kw_only=True)
class SinkAnalysis:
    """All statistics of one pass over one row.

    Attributes:
        labels: S names.
        settings: the thresholds.
        received: [L, S] attention each token gets: mean over heads and over the tokens that can
            see it, itself included.
        coverage: [L, S] share of the later tokens that give it a high weight.
        is_sink: [L, S] bool.
        peaks: [L + 1, S] largest magnitude over the layer's median, from the embeddings on.
        peak_features: [L + 1, S] index of that activation.
        massive: layer -> token -> indices of its massive activations.
        part_peaks: "attention", "mlp", "output" -> [L, S] largest magnitude, not divided.
        cosines: [L + 1, S] cosine to the first token.
        map_layer: the layer of ``token_cosines``.
        attention_map: [S, S] mean over heads and layers, query by key; None unless asked for.
        token_cosines: [S, S]; None unless asked for.
    """

    labels: tuple[TokenLabel, ...]
    settings: SinkSettings
    received: np.ndarray
    coverage: np.ndarray
    is_sink: np.ndarray
    peaks: np.ndarray
    peak_features: np.ndarray
    massive: dict[int, dict[int, tuple[int, ...]]]
    part_peaks: dict[str, np.ndarray]
    cosines: np.ndarray
    map_layer: int
    attention_map: np.ndarray | None = None
    token_cosines: np.ndarray | None = None

    @property
    def n_layers(self) -> int:
        return len(self.received)

    @property
    def sinks(self) -> tuple[SinkToken, ...]:
        """Tokens that are a sink in some layer, in order."""
        return tuple(self._token(i) for i in np.flatnonzero(self.is_sink.any(axis=0)).tolist())

    @property
    def decorrelation(self) -> float:
        """Mean squared cosine to the first token, layers 2 .. L-1 and all tokens; 0 below 3."""
        inner = self.cosines[2 : self.n_layers, 1:]
        return float(np.square(inner).mean()) if inner.size else 0.0

    def _token(self, index: int) -> SinkToken:
        layers = np.flatnonzero(self.is_sink[:, index]) + 1
        massive = {layer: found[index] for layer, found in self.massive.items() if index in found}
        features = {feature for found in massive.values() for feature in found}
        return SinkToken(
            index=index,
            label=self.labels[index],
            layers=tuple(layers.tolist()),
            received=float(self.received[layers - 1, index].mean()),
            massive_layers=tuple(sorted(massive)),
            massive_features=tuple(sorted(features)),
            origins=tuple(self._origins(index, layers.tolist())),
        )

    def _origins(self, index: int, layers: list[int]) -> Iterator[SinkOrigin]:
        begun = [n for n, layer in enumerate(layers) if not n or layer - layers[n - 1] >= MIN_GAP]
        ended = 0
        for start, stop in zip(begun, [*begun[1:], len(layers)], strict=True):
            first, last = layers[start], layers[stop - 1]
            layer, part = 0, "input"
            if first > 1:
                rises = np.diff(self.peaks[ended:first, index])  # of the layers since the last run
                layer = ended + 1 + int(rises.argmax())
                added = {p: self.part_peaks[p][layer - 1, index] for p in ("attention", "mlp")}
                part = max(added, key=lambda name: added[name])
            feature = int(self.peak_features[layer, index])
            yield SinkOrigin(first=first, last=last, layer=layer, part=part, feature=feature)
            ended = last


@torch.no_grad()
def analyse_sinks(
    language_model: Any,
    run: Callable[[], Any],
    labels: Sequence[TokenLabel] | None = None,
    settings: SinkSettings | None = None,
    edit: LayerEdit | None = None,
) -> SinkAnalysis:
    """Watch a language model while ``run`` makes it read one row without padding or cache.

    Args:
        language_model: any Hugging Face causal language model with exchangeable attention.
        run: calls the model once, directly or through a larger model that holds it.
        labels: names of the positions; None numbers them.
        settings: the thresholds.
        edit: given a layer's number and its output [1, S, D] (0: the embeddings), may return what
            is to take its place.

    Raises:
        ValueError: more than one row, not one call, or labels of another number.
    """
    recorder = _Recorder(len(decoder_layers(language_model)), settings or SinkSettings(), edit)
    with (
        tapped_attention(language_model, recorder.attention),
        observed_layers(language_model, recorder.layer),
    ):
        run()
    return recorder.analysis(labels)


def analyse_prefix(
    language_model: Any,
    inputs_embeds: Tensor,
    labels: Sequence[TokenLabel] | None = None,
    settings: SinkSettings | None = None,
    edit: LayerEdit | None = None,
) -> SinkAnalysis:
    """The same for a causal language model and its input embeddings, [1, S, D]."""

    def run() -> None:
        language_model(inputs_embeds=inputs_embeds, use_cache=False, logits_to_keep=1)

    return analyse_sinks(language_model, run, labels, settings, edit)


@dataclass(kw_only=True)
class _Streams:
    """What is noted down of the residual stream, a list entry per layer."""

    peaks: list[np.ndarray] = field(default_factory=list)
    peak_features: list[np.ndarray] = field(default_factory=list)
    cosines: list[np.ndarray] = field(default_factory=list)
    massive: dict[int, dict[int, tuple[int, ...]]] = field(default_factory=dict)
    parts: dict[str, list[np.ndarray]] = field(
        default_factory=lambda: {"attention": [], "mlp": [], "output": []}
    )
    token_cosines: np.ndarray | None = None


class _Recorder:
    """Collects statistics as attention tap and layer observer."""

    def __init__(self, n_layers: int, settings: SinkSettings, edit: LayerEdit | None) -> None:
        self._settings = settings
        self._edit = edit
        self._map_layer = settings.map_layer or max(1, n_layers // 2)
        self._statistics: AttentionStatistics | None = None
        self._mask = torch.empty(0)
        self._streams = _Streams()

    def attention(self, layer: int, first_query: int, weights: Tensor) -> Tensor:
        assert self._statistics is not None  # the embeddings come first
        return self._statistics(layer, first_query, weights)

    def layer(self, layer: int, place: str, value: Tensor) -> Tensor | None:
        if place == "embeddings":
            self._begin(value)
        if place in ("attention", "mlp"):
            self._streams.parts[place].append(_largest(value))
            return None
        changed = None if self._edit is None else self._edit(layer, value)
        value = value if changed is None else changed
        self._note(layer, value)
        return changed

    def _begin(self, value: Tensor) -> None:
        if len(value) != 1 or self._statistics is not None:
            raise ValueError("sinks are analysed in one call of the model, for one row")
        self._mask = torch.ones(value.shape[:2], dtype=torch.bool, device=value.device)
        self._statistics = AttentionStatistics(
            self._mask, self._settings.factor, keep_maps=self._settings.maps
        )

    def _note(self, layer: int, value: Tensor) -> None:
        streams = self._streams
        ratios = magnitude_ratios(value, self._mask)[0]
        largest, features = ratios.max(dim=-1)
        streams.peaks.append(largest.cpu().numpy())
        streams.peak_features.append(features.cpu().numpy())
        streams.cosines.append(cosine_to_first(value, self._mask)[0].cpu().numpy())
        massive: dict[int, list[int]] = {}
        for token, feature in (ratios >= self._settings.massive).nonzero().tolist():
            massive.setdefault(token, []).append(feature)
        if massive and layer:
            streams.massive[layer] = {token: tuple(found) for token, found in massive.items()}
        if layer:
            streams.parts["output"].append(_largest(value))
        if layer == self._map_layer and self._settings.maps:
            directions = functional.normalize(value[0].float(), dim=-1)
            streams.token_cosines = (directions @ directions.T).cpu().numpy()

    def analysis(self, labels: Sequence[TokenLabel] | None) -> SinkAnalysis:
        statistics, streams, settings = self._statistics, self._streams, self._settings
        if statistics is None:
            raise ValueError("the language model was not called")
        n_tokens = self._mask.shape[1]
        if labels is None:
            labels = [TokenLabel(kind="token", name=f"token {i}") for i in range(n_tokens)]
        if len(labels) != n_tokens:
            raise ValueError(f"{len(labels)} labels for {n_tokens} tokens")
        sinks = find_sinks(statistics, settings.coverage, settings.min_later)
        attention_map = None
        if settings.maps:
            maps = list(statistics.maps.values())
            attention_map = (sum(maps[1:], maps[0]) / len(maps))[0].cpu().numpy()
        return SinkAnalysis(
            labels=tuple(labels),
            settings=settings,
            received=statistics.received()[:, 0].cpu().numpy(),
            coverage=statistics.coverage()[:, 0].cpu().numpy(),
            is_sink=sinks[:, 0].cpu().numpy(),
            peaks=np.stack(streams.peaks),
            peak_features=np.stack(streams.peak_features),
            massive=streams.massive,
            part_peaks={name: np.stack(rows) for name, rows in streams.parts.items()},
            cosines=np.stack(streams.cosines),
            map_layer=self._map_layer,
            attention_map=attention_map,
            token_cosines=streams.token_cosines,
        )


def _largest(value: Tensor) -> np.ndarray:
    """[S] largest magnitude of each token."""
    return value[0].float().abs().amax(dim=-1).cpu().numpy()

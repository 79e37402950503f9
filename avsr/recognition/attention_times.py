"""When each token was said, from where the language model looks while it writes it.

For models without a CTC head. The tokens of one stream are a coarse clock (one for each ``rate``
encoder frames), and the path through the attention weights may only move forward. Which heads
follow the speech differs from model to model; those that do so best in the text at hand are used.
Shapes: H attention heads of all layers, L text tokens, S stream tokens.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.route import Route
from avsr_adapters import compressed_lengths, tapped_attention

_SMOOTH = 3  # stream tokens over which attention is averaged
_BEST_HEADS = 3


@torch.inference_mode()
def attention_marks(
    loaded: LoadedModel, streams: EncodedStreams, route: Route, token_ids: Sequence[int]
) -> list[tuple[int, int]]:
    """Find encoder frames inside each token of a text, of the sound if it is used, else the lips.

    Args:
        loaded: the model.
        streams: one clip.
        route: what the text was read by.
        token_ids: the text.

    Returns:
        First frame and last frame + 1 of each token; empty where the stream is too short.
    """
    stream = next(iter(streams.of(route).present), None)
    rate = None if stream is None else route.rate(stream.stream)
    if stream is None or rate is None or not token_ids:
        return []
    n_stream = int(compressed_lengths(stream.lengths, rate)[0])
    if n_stream < len(token_ids):
        return []
    weights = _attention(loaded, streams, route, token_ids)
    first = 1 + (loaded.model.config.bos_token_id is not None)  # after BOS and the stream's marker
    weights = following_heads(weights[..., first : first + n_stream])
    edges = monotonic_edges(weights)
    peaks = [a + int(weights[n, a:b].argmax()) for n, (a, b) in enumerate(pairwise(edges))]
    return [(rate * peak, rate * (peak + 1)) for peak in peaks]


def following_heads(weights: np.ndarray) -> np.ndarray:
    """Average the heads that move through the stream as the text goes on, and smooth over time.

    Args:
        weights: [H, L, S].

    Returns:
        [L, S].
    """
    shares = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-9)
    sums = np.cumsum(np.pad(shares, ((0, 0), (0, 0), (_SMOOTH // 2 + 1, _SMOOTH // 2))), axis=-1)
    near = sums[..., _SMOOTH:] - sums[..., :-_SMOOTH]
    peaks = shares.argmax(axis=-1)  # [H, L]
    mass = np.take_along_axis(near, peaks[..., None], axis=-1)[..., 0].mean(axis=-1)
    steps = np.arange(peaks.shape[1]) - (peaks.shape[1] - 1) / 2
    moved = (peaks - peaks.mean(axis=1, keepdims=True)) @ steps
    spread = np.sqrt(((peaks - peaks.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    forward = moved / np.maximum(spread * np.sqrt((steps**2).sum()), 1e-9)  # -1 to 1
    best = np.argsort(-(forward + 0.01) * mass)[:_BEST_HEADS]  # one token moves nowhere
    return near[best].mean(axis=0)


def monotonic_edges(weights: np.ndarray) -> list[int]:
    """Divide S stream tokens among L text tokens, in order, so that the weights add up highest.

    Args:
        weights: [L, S], S at least L.

    Returns:
        L + 1 edges; text token n gets the stream tokens from edge n to edge n + 1, at least one.
    """
    n_text, n_stream = weights.shape
    best = np.full((n_text, n_stream), -np.inf)
    begun = np.zeros((n_text, n_stream), dtype=bool)  # the token begins here on the best path
    best[0] = np.cumsum(weights[0])
    begun[0, 0] = True
    for n in range(1, n_text):
        for s in range(n, n_stream):
            goes_on = best[n, s - 1] if s > n else -np.inf
            begun[n, s] = best[n - 1, s - 1] >= goes_on
            best[n, s] = max(best[n - 1, s - 1], goes_on) + weights[n, s]
    edges = [n_stream]
    n = n_text - 1
    for s in range(n_stream - 1, -1, -1):
        if begun[n, s]:
            edges.append(s)
            n -= 1
            if n < 0:
                break
    return edges[::-1]


def _attention(
    loaded: LoadedModel, streams: EncodedStreams, route: Route, token_ids: Sequence[int]
) -> np.ndarray:
    """[H, L, all positions]: where each head looks when the model predicts each token."""
    model = loaded.model
    prefix, _ = model.search_inputs(
        streams=streams, route=route, allow_untrained_rate=loaded.allow_untrained_rate
    )
    ids = torch.tensor([list(token_ids)], device=prefix.embeds.device)
    embeds = torch.cat([prefix.embeds, model.get_input_embeddings()(ids)], dim=1)
    predicting = prefix.embeds.shape[1] - 1 + np.arange(len(token_ids))  # one before each token
    layers: dict[int, np.ndarray] = {}

    def tap(layer: int, first_query: int, weights: Tensor) -> Tensor:
        n_queries, n_keys = weights.shape[2:]
        if layer not in layers:
            shape = (weights.shape[1], len(token_ids), embeds.shape[1])
            layers[layer] = np.zeros(shape, dtype=np.float32)
        rows = np.flatnonzero((predicting >= first_query) & (predicting < first_query + n_queries))
        wanted = weights[0, :, predicting[rows] - first_query].float().cpu().numpy()
        layers[layer][:, rows, :n_keys] = wanted
        return weights

    with tapped_attention(model.language_model, tap):
        model.language_model(inputs_embeds=embeds, use_cache=False)
    return np.concatenate([layers[layer] for layer in sorted(layers)])

"""When each token was said, from where the language model looks while it writes it.

For models without a CTC head. The tokens of one stream are a coarse clock (one for each ``rate``
encoder frames), and the path through the attention weights may only move forward.
Shapes: L text tokens, S stream tokens.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from avsr.config import Modality
from avsr.hypotheses import Encoded
from avsr.pretrained import LoadedModel
from avsr.transcription import Rates
from avsr_adapters import compressed_lengths, tapped_attention

_SMOOTH = 3  # stream tokens over which attention is averaged


@torch.inference_mode()
def attention_marks(
    loaded: LoadedModel,
    modality: Modality,
    rates: Rates,
    audio: Encoded | None,
    video: Encoded | None,
    token_ids: Sequence[int],
) -> list[tuple[int, int]]:
    """Find encoder frames inside each token of a text, of the sound if it is used, else the lips.

    Args:
        loaded: the model.
        modality: what the text was read from.
        rates: compression used.
        audio: one clip's encoded sound.
        video: its encoded lips.
        token_ids: the text.

    Returns:
        First frame and last frame + 1 of each token; empty where the stream is too short.
    """
    stream, rate = (audio, rates.audio) if modality != "video" else (video, rates.video)
    if stream is None or rate is None or not token_ids:
        return []
    n_stream = int(compressed_lengths(stream.frame_lengths, rate)[0])
    if n_stream < len(token_ids):
        return []
    weights = _attention(loaded, modality, rates, audio, video, token_ids)
    first = 1 + (loaded.model.config.bos_token_id is not None)  # after BOS and the stream's marker
    sharp = _sharpened(weights[:, first : first + n_stream])
    edges = monotonic_edges(sharp)
    peaks = [a + int(sharp[n, a:b].argmax()) for n, (a, b) in enumerate(pairwise(edges))]
    return [(rate * peak, rate * (peak + 1)) for peak in peaks]


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
    loaded: LoadedModel,
    modality: Modality,
    rates: Rates,
    audio: Encoded | None,
    video: Encoded | None,
    token_ids: Sequence[int],
) -> np.ndarray:
    """[L, all positions]: where the model looks when it predicts each token, over later layers."""
    model = loaded.model
    streams: dict[str, Tensor] = {}
    if modality != "video" and audio is not None:
        streams |= {"audio_features": audio.features, "audio_frame_lengths": audio.frame_lengths}
    if modality != "audio" and video is not None:
        streams |= {"video_features": video.features, "video_frame_lengths": video.frame_lengths}
    prefix, _ = model.search_inputs(
        **streams,
        modality=modality,
        audio_rate=rates.audio,
        video_rate=rates.video,
        allow_untrained_rate=loaded.allow_untrained_rate,
    )
    ids = torch.tensor([list(token_ids)], device=prefix.embeds.device)
    embeds = torch.cat([prefix.embeds, model.get_input_embeddings()(ids)], dim=1)
    n_prefix, n_layers = prefix.embeds.shape[1], model.config.text_config.num_hidden_layers
    total = torch.zeros(embeds.shape[1], embeds.shape[1])

    def tap(layer: int, first_query: int, weights: Tensor) -> Tensor:
        if layer >= n_layers // 2:
            rows = slice(first_query, first_query + weights.shape[2])
            total[rows, : weights.shape[3]] += weights[0].mean(dim=0).float().cpu()
        return weights

    with tapped_attention(model.language_model, tap):
        model.language_model(inputs_embeds=embeds, use_cache=False)
    predicting = slice(n_prefix - 1, n_prefix - 1 + len(token_ids))  # one before each token
    return total[predicting].numpy()


def _sharpened(weights: np.ndarray) -> np.ndarray:
    """Take away what every token looks at, and smooth over neighbouring moments."""
    spread = weights.std(axis=0, keepdims=True)
    sharp = (weights - weights.mean(axis=0, keepdims=True)) / np.maximum(spread, 1e-6)
    kernel = np.ones(_SMOOTH) / _SMOOTH
    return np.stack([np.convolve(row, kernel, mode="same") for row in sharp])

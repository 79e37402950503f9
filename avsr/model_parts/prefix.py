"""What the language model reads before the text: markers, shortened streams and the prompt.

Shapes: B batch, S tokens, D width of the language model.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from avsr.decoding.rows import group_rows
from avsr.decoding.sequence import Span, TokenSequence, join_spans, merge_rows
from avsr.model_parts.streams import EncodedStream, EncodedStreams
from avsr.route import Route, Stream, nearest_rate

if TYPE_CHECKING:
    from avsr.model import AvsrForConditionalGeneration


def build_prefix(
    model: "AvsrForConditionalGeneration", streams: EncodedStreams, routes: Sequence[Route]
) -> TokenSequence:
    """BOS ... prompt of every clip, by its own route."""
    parts = []
    for route, rows in group_rows(routes).items():
        chosen = streams if len(rows) == len(routes) else streams.rows(rows)
        parts.append((rows, join_spans(_spans(model, chosen, route), len(rows))))
    return merge_rows(parts)


def shorten(model: "AvsrForConditionalGeneration", encoded: EncodedStream, rate: int) -> Span:
    """Compress and project one stream; an untrained rate uses the nearest one's projector.

    Raises:
        ValueError: the model has no projector for the stream.
    """
    stream = encoded.stream
    projector = model.audio_projector if stream == "audio" else model.video_projector
    if projector is None:
        raise ValueError(f"this model takes no {stream}")
    config = model.config
    tokens, lengths = config.compressor.shorten(encoded.features, rate, encoded.lengths)
    tokens = tokens.to(next(projector.parameters()).dtype)
    return Span(embeds=projector(tokens, nearest_rate(config.rates(stream), rate)), lengths=lengths)


def _spans(
    model: "AvsrForConditionalGeneration", streams: EncodedStreams, route: Route
) -> list[Span]:
    config = model.config
    markers: dict[Stream, tuple[int | None, int | None]] = {
        "audio": (config.audio_start_token_id, config.audio_end_token_id),
        "video": (config.video_start_token_id, config.video_end_token_id),
    }
    spans = [] if config.bos_token_id is None else [_tokens(model, config.bos_token_id)]
    for encoded in streams.of(route).present:
        start, end = markers[encoded.stream]
        rate = route.rate(encoded.stream)
        assert rate is not None  # of a route that was checked against the model
        spans += [_tokens(model, start), shorten(model, encoded, rate), _tokens(model, end)]
    return [*spans, _prompt(model, route)]


def _prompt(model: "AvsrForConditionalGeneration", route: Route) -> Span:
    """What the language model is asked to do."""
    if model.config.prompt_embeddings:
        stored: Tensor = getattr(model, f"prompt_{route.modality}")
        return Span(embeds=stored[0])
    return _tokens(model, *(model.config.prompt_ids or {}).get(route.modality, ()))


def _tokens(model: "AvsrForConditionalGeneration", *token_ids: int | None) -> Span:
    if None in token_ids:
        raise ValueError("the configuration lacks the id of <audio>, </audio>, <video> or </video>")
    table = model.get_input_embeddings()
    device = next(table.parameters()).device
    return Span(embeds=table(torch.tensor(token_ids, dtype=torch.long, device=device)))

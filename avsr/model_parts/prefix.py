"""What the language model reads before the text: markers, shortened streams and the prompt.

Shapes: B batch, S tokens, D width of the language model.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from avsr.decoding.rows import group_rows
from avsr.decoding.sequence import Span, TokenSequence, join_spans, merge_rows
from avsr.model_parts.parts import ModelParts
from avsr.model_parts.streams import EncodedStream, EncodedStreams
from avsr.route import Route, Stream, nearest_rate

__all__ = [
    "Drafts",
    "build_prefix",
    "shorten",
]

Drafts = Sequence[Sequence[int] | None]  # token ids of each clip's draft; None for no draft


def build_prefix(
    model: ModelParts,
    streams: EncodedStreams,
    routes: Sequence[Route],
    drafts: Drafts | None = None,
) -> TokenSequence:
    """BOS ... prompt of every clip, by its own route, then its draft where it has one.

    Raises:
        ValueError: drafts are given to a model that was not made for them, or not one for each
            clip.
    """
    if drafts is not None and len(drafts) != len(routes):
        raise ValueError(f"{len(drafts)} drafts are given for {len(routes)} clips")
    parts = []
    for route, rows in group_rows(routes).items():
        chosen = streams if len(rows) == len(routes) else streams.rows(rows)
        spans = _spans(model, chosen, route)
        if drafts is not None and any(drafts[row] is not None for row in rows):
            spans.append(_draft(model, [drafts[row] for row in rows]))
        parts.append((rows, join_spans(spans, len(rows))))
    return merge_rows(parts)


def shorten(model: ModelParts, encoded: EncodedStream, rate: int) -> Span:
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


def _spans(model: ModelParts, streams: EncodedStreams, route: Route) -> list[Span]:
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


def _prompt(model: ModelParts, route: Route) -> Span:
    """What the language model is asked to do."""
    if model.config.prompt_embeddings:
        stored: Tensor = getattr(model, f"prompt_{route.modality}")
        return Span(embeds=stored[0])
    return _tokens(model, *(model.config.prompt_ids or {}).get(route.modality, ()))


def _draft(model: ModelParts, drafts: Drafts) -> Span:
    """Each clip's draft between the words that announce and end it; nothing for None."""
    around = model.config.draft_prompt_ids
    if not around:
        raise ValueError("this model was not made for drafts")
    before, after = around
    texts = [[] if draft is None else [*before, *draft, *after] for draft in drafts]
    table = model.get_input_embeddings()
    device = next(table.parameters()).device
    rows = [torch.tensor(text, dtype=torch.long, device=device) for text in texts]
    return Span(
        embeds=table(pad_sequence(rows, batch_first=True)),
        lengths=torch.tensor([len(text) for text in texts], device=device),
    )


def _tokens(model: ModelParts, *token_ids: int | None) -> Span:
    if None in token_ids:
        raise ValueError("the configuration lacks the id of <audio>, </audio>, <video> or </video>")
    table = model.get_input_embeddings()
    device = next(table.parameters()).device
    return Span(embeds=table(torch.tensor(token_ids, dtype=torch.long, device=device)))

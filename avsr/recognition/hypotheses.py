"""From arrays to texts: encoders run once, then as many decodings of them as wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from avsr.decoding.generation import AvsrGeneration
from avsr.decoding.options import SearchOptions
from avsr.errors import SettingError
from avsr.model_parts.adapters import adapters_of
from avsr.model_parts.ctc import ctc_heads
from avsr.model_parts.draft_decoder import Draft
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.route import Route, Stream
from avsr_frontends.rates import SAMPLE_RATE

__all__ = [
    "Hypothesis",
    "decode",
    "encode",
    "generate",
    "prompt_drafts",
    "read_drafts",
    "resolved_search",
]


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """What the model read from one clip.

    Attributes:
        text: the words.
        avg_logprob: mean log-probability of its tokens.
        n_drafted: tokens that a draft proposed.
        n_accepted: how many of them the language model chose too.
        token_ids: the text's tokens, without special ones.
        token_log_probs: log-probability of each of ``token_ids``.
        sound_share: 0 to 1, how far the sound rather than the lips carried the text; None where
            that was not judged, see :mod:`avsr.recognition.fusion`.
        draft: what the audio encoder's own decoder made of the sound, where it was asked.
    """

    text: str
    avg_logprob: float
    n_drafted: int = 0
    n_accepted: int = 0
    token_ids: tuple[int, ...] = ()
    token_log_probs: tuple[float, ...] = ()
    sound_share: float | None = None
    draft: Draft | None = None


@torch.inference_mode()
def encode(
    loaded: LoadedModel,
    *,
    waveforms: Sequence[np.ndarray] | None = None,
    mouths: Sequence[np.ndarray] | None = None,
) -> EncodedStreams:
    """Run the encoders on clips; where both are given, the sound is fitted to the lips.

    Args:
        loaded: the model.
        waveforms: [N] float32 each, 16 kHz; to be used beside lips that are encoded apart, as
            :func:`avsr.processing.fit_to_lips` gives them.
        mouths: crops of the same clips, [T, 96, 96] or [T, 96, 96, 3] uint8 each.
    """
    batch = loaded.processor(
        audio=None if waveforms is None else list(waveforms),
        video=None if mouths is None else list(mouths),
        sampling_rate=SAMPLE_RATE,
    )
    return loaded.model.encode(**batch.to(loaded.device))


@torch.inference_mode()
def decode(
    loaded: LoadedModel,
    streams: EncodedStreams,
    route: Route | Sequence[Route],
    search: SearchOptions | None = None,
) -> list[Hypothesis]:
    """Let the language model read encoded streams, see :func:`generate`.

    Returns:
        One hypothesis for each clip of the batch.
    """
    search = search or SearchOptions()
    drafts = read_drafts(loaded, streams, route, search)
    output = _generate(loaded, streams, route, search, drafts)
    return [
        replace(_hypothesis(loaded, output, row), draft=draft) for row, draft in enumerate(drafts)
    ]


@torch.inference_mode()
def generate(
    loaded: LoadedModel,
    streams: EncodedStreams,
    route: Route | Sequence[Route],
    search: SearchOptions | None = None,
) -> AvsrGeneration:
    """Let the language model read encoded streams, its LoRA folded.

    Args:
        loaded: the model.
        streams: the clips; what their route does not use is ignored.
        route: of all clips, or of each; the same adapters must serve all.
        search: how to search; None: as the model was made for.

    Returns:
        The tokens of each clip of the batch.
    """
    search = search or SearchOptions()
    return _generate(loaded, streams, route, search, read_drafts(loaded, streams, route, search))


def _generate(
    loaded: LoadedModel,
    streams: EncodedStreams,
    route: Route | Sequence[Route],
    search: SearchOptions,
    drafts: Sequence[Draft | None],
) -> AvsrGeneration:
    model = loaded.model
    first = route if isinstance(route, Route) else route[0]
    model.fold_lora(adapters_of(model.config, first))
    return model.generate_with_scores(
        streams=streams,
        route=route,
        search=search,
        drafts=prompt_drafts(loaded, drafts),
        allow_untrained_rate=loaded.allow_untrained_rate,
    )


@torch.inference_mode()
def read_drafts(
    loaded: LoadedModel,
    streams: EncodedStreams,
    route: Route | Sequence[Route],
    search: SearchOptions,
) -> list[Draft | None]:
    """What the audio encoder's own decoder makes of each clip's sound, where the model takes it.

    Args:
        loaded: the model.
        streams: the clips.
        route: of all clips, or of each.
        search: may name another draft, or none.

    Returns:
        The draft of each clip; None for a clip without.
    """
    model = loaded.model
    routes = [route] * streams.n_clips if isinstance(route, Route) else list(route)
    heard = [row for row, one in enumerate(routes) if one.has_audio]
    drafts: list[Draft | None] = [None] * len(routes)
    if model.draft_decoder is None or search.draft is not None or not heard:
        return drafts
    assert streams.audio is not None  # a route uses it
    read = model.draft_decoder.read(model.audio_encoder, streams.audio.rows(heard))
    for row, draft in zip(heard, read, strict=True):
        drafts[row] = draft
    return drafts


def prompt_drafts(
    loaded: LoadedModel, drafts: Sequence[Draft | None]
) -> list[list[int] | None] | None:
    """Drafts as they stand in the prompt.

    Args:
        loaded: the model.
        drafts: of each clip, as :func:`read_drafts` gives them.

    Returns:
        The language model's tokens of each draft, None for one without words or none at all; None
        where no clip has a draft.
    """
    written = [draft for draft in drafts if draft is not None]
    if not written:
        return None
    ids = iter(loaded.processor.draft_ids([draft.token_ids for draft in written]))
    return [None if draft is None else next(ids) or None for draft in drafts]


def resolved_search(
    loaded: LoadedModel, search: SearchOptions, routes: Sequence[Route]
) -> SearchOptions:
    """What is asked of a search with the model's own in place of None, for these routes.

    Raises:
        SettingError: naming what stands against it.
    """
    used: list[Stream] = [stream for route in routes for stream in route.streams]
    try:
        return search.resolved(loaded.model.generation_config, ctc_heads(loaded.model, used))
    except SettingError as error:
        raise SettingError(f"{loaded.name}: {error}", settings=error.settings) from error


def _hypothesis(loaded: LoadedModel, output: AvsrGeneration, row: int) -> Hypothesis:
    tokenizer = loaded.processor.tokenizer
    special = set(tokenizer.all_special_ids)
    words_only = getattr(loaded.model.generation_config, "words_only", False)
    plain = [
        (token_id, log_prob)
        for token_id, log_prob in zip(
            output.sequences[row].tolist(), output.token_log_probs[row].tolist(), strict=True
        )
        if token_id not in special
        and not (words_only and _is_punctuation(tokenizer.decode([token_id])))
    ]
    text = loaded.processor.decode([token_id for token_id, _ in plain])
    return Hypothesis(
        text=" ".join((text.lower() if words_only else text).split()),
        avg_logprob=min(0.0, float(output.sequence_scores[row])),
        token_ids=tuple(token_id for token_id, _ in plain),
        token_log_probs=tuple(log_prob for _, log_prob in plain),
        n_drafted=0 if output.n_drafted is None else int(output.n_drafted[row]),
        n_accepted=0 if output.n_accepted is None else int(output.n_accepted[row]),
    )


def _is_punctuation(token: str) -> bool:
    """Whether a token is visible, but no part of a word."""
    return bool(token.strip()) and not any(letter.isalnum() or letter == "'" for letter in token)

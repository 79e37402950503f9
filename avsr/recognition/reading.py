"""Pieces of clips to hypotheses with word times: in batches that shrink where memory runs out.

Pieces of several inputs may be read in one batch; each is read as it would be alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
import torch

from avsr.clips.clip import Clip
from avsr.errors import InputError
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.fusion import decode_fused
from avsr.recognition.gates import loop_free
from avsr.recognition.hypotheses import Hypothesis, encode
from avsr.recognition.joint_decoding import DecodingJob
from avsr.recognition.rate_choice import choose_route, decode_as_fine_as_needed
from avsr.recognition.readability import Signs, gather_signs
from avsr.recognition.request import Request
from avsr.recognition.sound_offset import OffsetMeter
from avsr.recognition.word_times import split_words, time_words
from avsr.route import Route
from avsr.timings import Timings
from avsr.transcription import Word

MAX_BATCH = 16  # pieces read at once


@dataclass(frozen=True, kw_only=True)
class PieceGroup:
    """Pieces of one input that are read at once.

    Attributes:
        clips: what is read, at least one.
        meter: gathers how far sound and lips of the input are out of step; where that is far, its
            pieces of both are read by the sound alone, unless both were asked for. None for lips
            or sound that are never compared.
    """

    clips: Sequence[Clip]
    meter: OffsetMeter | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from one piece.

    Attributes:
        hypothesis: the text.
        words: its words, with times from the piece's start; none where there are no times.
        looped: repetitions were cut out of the text.
        route: what it was read by, where that was chosen for this piece alone.
        signs: whether it is what the model reads.
    """

    hypothesis: Hypothesis
    words: tuple[Word, ...]
    looped: bool = False
    route: Route | None = None
    signs: Signs = field(default_factory=Signs)


def read_groups(
    loaded: LoadedModel,
    groups: Sequence[PieceGroup],
    route: Route,
    request: Request,
    timings: Timings,
) -> list[list[Reading]]:
    """Read pieces by one route, all at once where memory allows.

    Args:
        loaded: the model.
        groups: what is read, of one input or of several.
        route: by what.
        request: how.
        timings: receives the stages of the work.

    Returns:
        The readings of each group.

    Raises:
        InputError: if even a single piece does not fit into memory.
    """
    try:
        return _read_batch(loaded, groups, route, request, timings)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        first = groups[0]
        if len(groups) == 1 and len(first.clips) == 1:
            raise InputError(
                f"memory is too small for a piece of {first.clips[0].duration_s:.0f} s; "
                "use the device cpu, coarser rates or a smaller model",
                settings=("device", "audio_rate", "video_rate"),
            ) from error
    torch.cuda.empty_cache()  # outside the handler, which keeps the failed batch alive
    if len(groups) > 1:
        half = len(groups) // 2
        return [
            readings
            for part in (groups[:half], groups[half:])
            for readings in read_groups(loaded, part, route, request, timings)
        ]
    half = len(first.clips) // 2
    halves = [replace(first, clips=part) for part in (first.clips[:half], first.clips[half:])]
    return [
        [
            reading
            for part in halves
            for reading in read_groups(loaded, [part], route, request, timings)[0]
        ]
    ]


def _read_batch(
    loaded: LoadedModel,
    groups: Sequence[PieceGroup],
    route: Route,
    request: Request,
    timings: Timings,
) -> list[list[Reading]]:
    pieces = [clip for group in groups for clip in group.clips]
    mouths = [piece.mouth for piece in pieces if piece.mouth is not None]
    waveforms = [piece.audio for piece in pieces if piece.audio is not None]
    with timings.measure("encoders"):
        streams = encode(
            loaded,
            waveforms=waveforms if route.has_audio else None,
            mouths=mouths if route.has_video else None,
        )
    routes = [route] * len(pieces)
    replaced: set[int] = set()  # pieces whose lips would mislead
    if route.has_audio and route.has_video:
        with timings.measure("offset"):
            replaced = _out_of_step(loaded, groups, streams, request)
        for row in replaced:
            routes[row] = choose_route(loaded, "audio", request)
    with timings.measure("language model"):
        hypotheses, chosen = _decode(loaded, streams, routes, request, waveforms)
    with timings.measure("word times"):
        readings = [
            _with_times(
                loaded,
                hypothesis,
                streams.rows([row]).of(routes[row]),
                pieces[row],
                routes[row],
            )
            for row, hypothesis in enumerate(hypotheses)
        ]
    own = [
        replace(reading, route=chosen[row] or (routes[row] if row in replaced else None))
        for row, reading in enumerate(readings)
    ]
    ends = list(accumulate(len(group.clips) for group in groups))
    return [own[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _out_of_step(
    loaded: LoadedModel, groups: Sequence[PieceGroup], streams: EncodedStreams, request: Request
) -> set[int]:
    """Compare sound and lips of each input; the rows of those that are read by sound alone."""
    replaceable = request.modality == "auto" and "audio" in loaded.modalities
    found: set[int] = set()
    first = 0
    for group in groups:
        rows = range(first, first + len(group.clips))
        first = rows.stop
        if group.meter is None:
            continue
        own = streams.rows(rows)
        group.meter.add(loaded, own.audio, own.video)
        if replaceable and group.meter.is_misleading:
            found |= set(rows)
    return found


def _decode(
    loaded: LoadedModel,
    streams: EncodedStreams,
    routes: Sequence[Route],
    request: Request,
    waveforms: Sequence[np.ndarray],
) -> tuple[list[Hypothesis], list[Route | None]]:
    """The text of each piece, and by what it was read where that was chosen for it alone."""
    hypotheses: dict[int, Hypothesis] = {}
    chosen: list[Route | None] = [None] * len(routes)
    rows_of = {
        route: [row for row, own in enumerate(routes) if own == route]
        for route in dict.fromkeys(routes)
    }
    if request.auto_rate:
        for route, rows in rows_of.items():
            heard = [waveforms[row] for row in rows] if route.has_audio else []
            part = streams.rows(rows).of(route)
            read = decode_as_fine_as_needed(loaded, part, route.modality, request, heard)
            for row, one in zip(rows, read, strict=True):
                hypotheses[row], chosen[row] = one.hypothesis, one.route
    else:
        jobs = [
            DecodingJob(streams=streams.rows(rows).of(route), route=route)
            for route, rows in rows_of.items()
        ]
        texts = decode_fused(loaded, jobs, max_rows=3 * len(routes), search=request.search)
        for rows, found in zip(rows_of.values(), texts, strict=True):
            hypotheses.update(zip(rows, found, strict=True))
    return [hypotheses[row] for row in range(len(routes))], chosen


def _with_times(
    loaded: LoadedModel,
    hypothesis: Hypothesis,
    streams: EncodedStreams,
    piece: Clip,
    route: Route,
) -> Reading:
    spoken = split_words(loaded.processor.tokenizer, hypothesis)
    kept = loop_free([word.text for word in spoken])
    looped = len(kept) < len(spoken)
    if looped:
        spoken = [spoken[index] for index in kept]
        hypothesis = replace(hypothesis, text=" ".join(word.text for word in spoken))
    words = time_words(loaded, spoken, streams, piece.audio, route)
    signs = Signs()
    if weights := loaded.readability.get(route.modality):
        found = gather_signs(loaded, hypothesis, streams, route)
        signs = found if found.enough_for(weights) else signs  # else it would dilute the others
    return Reading(hypothesis=hypothesis, words=words, looped=looped, signs=signs)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()  # the CPU allocator has no class of its own
    return "out of memory" in text or "can't allocate memory" in text

"""Pieces of clips to hypotheses with word times: in batches that shrink where memory runs out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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

MAX_BATCH = 8  # pieces read at once


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


def read_pieces(
    loaded: LoadedModel,
    pieces: Sequence[Clip],
    route: Route,
    request: Request,
    timings: Timings,
    meter: OffsetMeter | None = None,
) -> list[Reading]:
    """Read pieces by one route, as many at once as memory allows.

    Args:
        loaded: the model.
        pieces: what is read.
        route: by what.
        request: how.
        timings: receives the stages of the work.
        meter: gathers how far sound and lips are out of step; where that is far, pieces of both
            are read by the sound alone, unless both were asked for.

    Raises:
        InputError: if even a single piece does not fit into memory.
    """
    readings: list[Reading] = []
    size = MAX_BATCH
    while len(readings) < len(pieces):
        batch = pieces[len(readings) : len(readings) + size]
        try:
            readings += _read_batch(loaded, batch, route, request, timings, meter)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise InputError(
                    f"memory is too small for a piece of {batch[0].duration_s:.0f} s; "
                    "use the device cpu, coarser rates or a smaller model",
                    settings=("device", "audio_rate", "video_rate"),
                ) from error
            size = len(batch) // 2
        else:
            continue
        torch.cuda.empty_cache()  # outside the handler, which keeps the failed batch alive
    return readings


def _read_batch(
    loaded: LoadedModel,
    pieces: Sequence[Clip],
    route: Route,
    request: Request,
    timings: Timings,
    meter: OffsetMeter | None,
) -> list[Reading]:
    mouths = [piece.mouth for piece in pieces if piece.mouth is not None]
    waveforms = [piece.audio for piece in pieces if piece.audio is not None]
    with timings.measure("encoders"):
        streams = encode(
            loaded,
            waveforms=waveforms if route.has_audio else None,
            mouths=mouths if route.has_video else None,
        )
    chosen: list[Route | None] = [None] * len(pieces)
    if meter is not None and route.has_audio and route.has_video:
        with timings.measure("offset"):
            meter.add(loaded, streams.audio, streams.video)
        replaceable = request.modality == "auto" and "audio" in loaded.modalities
        if replaceable and meter.is_misleading:
            route = choose_route(loaded, "audio", request)
            streams = streams.of(route)
            chosen = [route] * len(pieces)
    with timings.measure("language model"):
        if request.auto_rate:
            heard = waveforms if route.has_audio else []
            read = decode_as_fine_as_needed(loaded, streams, route.modality, request, heard)
            hypotheses = [one.hypothesis for one in read]
            chosen = [one.route for one in read]
        else:
            job = DecodingJob(streams=streams, route=route)
            hypotheses = decode_fused(
                loaded, [job], max_rows=3 * len(pieces), search=request.search
            )[0]
    with timings.measure("word times"):
        readings = [
            _with_times(loaded, hypothesis, streams.rows([row]), pieces[row], route)
            for row, hypothesis in enumerate(hypotheses)
        ]
    return [replace(reading, route=own) for reading, own in zip(readings, chosen, strict=True)]


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
    judged = route.modality in loaded.readability
    signs = gather_signs(loaded, hypothesis, streams, route) if judged else Signs()
    return Reading(hypothesis=hypothesis, words=words, looped=looped, signs=signs)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()  # the CPU allocator has no class of its own
    return "out of memory" in text or "can't allocate memory" in text

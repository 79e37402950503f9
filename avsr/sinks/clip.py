"""Sinks of one media file, as the recogniser's language model reads it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from avsr.clips.read import read_clip
from avsr.errors import InputError
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.borders import cut_at_borders
from avsr.recognition.hypotheses import decode, encode
from avsr.recognition.modality import RequestedModality, choose_modality
from avsr.recognition.segmentation import whole_spans
from avsr.route import Route
from avsr.sinks.analysis import LayerEdit, SinkAnalysis, SinkSettings, analyse_sinks
from avsr.sinks.rotation import Rotation, rotation_test
from avsr.sinks.tokens import label_tokens
from avsr.tokenizer import plain_ids
from avsr_adapters import compressed_lengths
from avsr_frontends.media import MediaError
from avsr_frontends.rates import VIDEO_FPS


@dataclass(frozen=True, kw_only=True)
class ClipAnalysis:
    """One piece of a file, read and analysed.

    Attributes:
        path: the file.
        start_s: where the piece begins.
        end_s: where it ends.
        route: modality and rates.
        text: what the model read; its tokens follow the prefix in the analysis.
        analysis: the statistics.
        away: a sink turned to its nearest non-sink; None where there is no sink.
        towards: a non-sink turned to the first token.
    """

    path: Path
    start_s: float
    end_s: float
    route: Route
    text: str
    analysis: SinkAnalysis
    away: Rotation | None
    towards: Rotation | None


def analyse_clip(
    loaded: LoadedModel,
    path: str | Path,
    *,
    modality: RequestedModality = "auto",
    audio_rate: int | None = None,
    video_rate: int | None = None,
    settings: SinkSettings | None = None,
) -> list[ClipAnalysis]:
    """Transcribe a file and look at the language model's attention while it does.

    A long file is cut at quiet moments; each piece is one input of the language model.

    Args:
        loaded: the model.
        path: a media file.
        modality: what to use of it.
        audio_rate: encoder frames per token; None is the finest trained.
        video_rate: encoder frames per token; None is the finest trained.
        settings: thresholds, and whether maps are kept.

    Raises:
        InputError: the file cannot be read, lacks the modality, or nothing is said in it.
        UsageError: the model was not trained for the modality or rate.
    """
    for named in loaded.modalities if modality == "auto" else [modality]:
        loaded.route(named, audio_rate, video_rate)  # before the file is read
    try:
        clip = read_clip(path, sound=modality != "video", picture=modality != "audio")
        choice = choose_modality(clip, modality)
    except MediaError as error:
        raise InputError(str(error)) from error
    except InputError as error:
        raise InputError(f"{path}: {error}", settings=error.settings) from error
    if choice is None:
        raise InputError(f"{path}: the sound is silent, so there is nothing to analyse")
    route = loaded.route(choice.modality, audio_rate, video_rate)
    pieces = []
    spans = whole_spans(clip, loaded.max_segment_s)
    for first, last in cut_at_borders(spans, clip, None, choice.modality):
        span = (first / VIDEO_FPS, last / VIDEO_FPS)
        part = clip.cut(*span)
        streams = encode(
            loaded,
            waveforms=None if part.audio is None or not route.has_audio else [part.audio],
            mouths=None if part.mouth is None or not route.has_video else [part.mouth],
        )
        pieces.append(_analyse(loaded, Path(path), span, route, streams, settings))
    return pieces


def _analyse(
    loaded: LoadedModel,
    path: Path,
    span: tuple[float, float],
    route: Route,
    streams: EncodedStreams,
    settings: SinkSettings | None,
) -> ClipAnalysis:
    model, tokenizer = loaded.model, loaded.processor.tokenizer
    text = decode(loaded, streams, route)[0].text
    ids = [*plain_ids(tokenizer, text), tokenizer.eos_token_id]
    prompt_ids = (model.config.prompt_ids or {}).get(route.modality, ())
    labels = label_tokens(
        model.config,
        route,
        {
            encoded.stream: int(
                compressed_lengths(encoded.lengths, route.rate(encoded.stream) or 1)[0]
            )
            for encoded in streams.present
        },
        prompt=tokenizer.convert_ids_to_tokens(list(prompt_ids)),
        text=tokenizer.convert_ids_to_tokens(ids),
        start_s=span[0],
    )
    target = torch.tensor([ids], device=loaded.device)
    allowed = loaded.allow_untrained_rate

    def run() -> None:
        model(
            streams=streams,
            route=route,
            labels=target,
            logits_to_keep=len(ids) + 1,
            allow_untrained_rate=allowed,
        )

    def analyse(edit: LayerEdit | None = None) -> SinkAnalysis:
        return analyse_sinks(model.language_model, run, labels, settings, edit)

    analysis = analyse()
    away, towards = rotation_test(analysis, analyse)
    return ClipAnalysis(
        path=path,
        start_s=span[0],
        end_s=span[1],
        route=route,
        text=text,
        analysis=analysis,
        away=away,
        towards=towards,
    )

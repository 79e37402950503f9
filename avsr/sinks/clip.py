"""Sinks of one media file, as the recogniser's language model reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avsr.clips.clip import Clip
from avsr.clips.read import read_clip
from avsr.errors import InputError
from avsr.model_files.tokenizer import plain_ids
from avsr.model_parts.route import Route
from avsr.pretrained import LoadedModel
from avsr.recognition.borders import cut_at_borders
from avsr.recognition.hypotheses import Encoded, decode, encode_audio, encode_video, fit_to_lips
from avsr.recognition.modality import Modality, RequestedModality, choose_modality
from avsr.recognition.segmentation import whole_spans
from avsr.sinks.analysis import LayerEdit, SinkAnalysis, SinkSettings, analyse_sinks
from avsr.sinks.rotation import Rotation, rotation_test
from avsr.sinks.tokens import label_tokens
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
        video_rate: likewise.
        settings: thresholds, and whether maps are kept.

    Raises:
        InputError: the file cannot be read, lacks the modality, or nothing is said in it.
        UsageError: the model was not trained for the modality or rate.
    """
    loaded.check_request(modality, audio_rate, video_rate)
    try:
        clip = read_clip(path, sound=modality != "video", picture=modality != "audio")
        choice = choose_modality(clip, modality)
    except MediaError as error:
        raise InputError(str(error)) from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if choice is None:
        raise InputError(f"{path}: the sound is silent, so there is nothing to analyse")
    heard, seen = choice.modality != "video", choice.modality != "audio"
    route = Route(
        modality=choice.modality,
        audio_rate=(audio_rate or loaded.rates("audio")[0]) if heard else None,
        video_rate=(video_rate or loaded.rates("video")[0]) if seen else None,
    )
    pieces = []
    spans = whole_spans(clip, loaded.max_segment_s)
    for first, last in cut_at_borders(spans, clip, None, choice.modality):
        span = (first / VIDEO_FPS, last / VIDEO_FPS)
        streams = _encode(loaded, clip.cut(*span), choice.modality)
        pieces.append(_analyse(loaded, Path(path), span, route, streams, settings))
    return pieces


def _encode(loaded: LoadedModel, part: Clip, modality: Modality) -> dict[str, Encoded]:
    streams = {}
    if modality != "audio" and part.mouth is not None:
        streams["video"] = encode_video(loaded, [part.mouth])
    if modality != "video" and part.audio is not None:
        wave = part.audio
        if modality == "av" and part.mouth is not None:
            wave = fit_to_lips(wave, part.mouth)
        streams["audio"] = encode_audio(loaded, [wave])
    return streams


def _analyse(
    loaded: LoadedModel,
    path: Path,
    span: tuple[float, float],
    route: Route,
    streams: dict[str, Encoded],
    settings: SinkSettings | None,
) -> ClipAnalysis:
    model, tokenizer = loaded.model, loaded.processor.tokenizer
    rates: Any = {"audio_rate": route.audio_rate, "video_rate": route.video_rate}
    modality: Any = route.modality
    text = decode(loaded, modality, **streams, **rates)[0].text
    ids = [*plain_ids(tokenizer, text), tokenizer.eos_token_id]
    prompt_ids = (model.config.prompt_ids or {}).get(route.modality, ())
    labels = label_tokens(
        model.config,
        route,
        {
            name: int(compressed_lengths(stream.frame_lengths, rates[f"{name}_rate"])[0])
            for name, stream in streams.items()
        },
        prompt=tokenizer.convert_ids_to_tokens(list(prompt_ids)),
        text=tokenizer.convert_ids_to_tokens(ids),
        start_s=span[0],
    )
    inputs: dict[str, Any] = {"labels": torch.tensor([ids], device=loaded.device)}
    for name, stream in streams.items():
        inputs[f"{name}_features"] = stream.features
        inputs[f"{name}_frame_lengths"] = stream.frame_lengths

    def run() -> None:
        with _without_decorrelation(model.config):
            model(**inputs, modality=route.modality, **rates, logits_to_keep=len(ids) + 1)

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


@contextmanager
def _without_decorrelation(config: Any) -> Iterator[None]:
    """Spare the model its decorrelation loss, which keeps every layer's hidden states."""
    weight = config.decorrelation_weight
    config.decorrelation_weight = 0.0
    try:
        yield
    finally:
        config.decorrelation_weight = weight

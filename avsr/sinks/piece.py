"""Sinks of one input: a media file as the recogniser's language model reads it, or a plain text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avsr.clips.read import read_clip
from avsr.decoding.options import SearchOptions
from avsr.errors import InputError
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.borders import cut_at_borders
from avsr.recognition.hypotheses import decode, encode, prompt_drafts, read_drafts
from avsr.recognition.modality import RequestedModality, choose_modality
from avsr.recognition.segmentation import whole_spans
from avsr.route import Route
from avsr.sinks.analysis import LayerEdit, SinkAnalysis, SinkSettings, analyse_sinks
from avsr.sinks.gates import GateUnit, gate_units
from avsr.sinks.rotation import Rotation, rotation_test
from avsr.sinks.tokens import TokenLabel, label_pieces, label_tokens
from avsr.tokenizer import plain_ids
from avsr_adapters import compressed_lengths
from avsr_frontends.media import MediaError
from avsr_frontends.rates import VIDEO_FPS


@dataclass(frozen=True, kw_only=True)
class PieceAnalysis:
    """One piece of a file, read and analysed.

    Attributes:
        path: the file.
        start_s: where the piece begins; 0 for a text.
        end_s: where it ends; 0 for a text.
        route: modality and rates; None for a text.
        text: what the model read; of a clip its tokens follow the prefix in the analysis.
        analysis: the statistics.
        gates: hidden units behind the sinks.
        rotations: of the rotation test.
        base: the same of the language model as it was before fine-tuning; None where that was not
            asked for or there was none.
    """

    path: Path
    start_s: float = 0.0
    end_s: float = 0.0
    route: Route | None = None
    text: str
    analysis: SinkAnalysis
    gates: tuple[GateUnit, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    base: SinkAnalysis | None = None


def analyse_clip(
    loaded: LoadedModel,
    path: str | Path,
    *,
    modality: RequestedModality = "auto",
    audio_rate: int | None = None,
    video_rate: int | None = None,
    settings: SinkSettings | None = None,
    with_base: bool = False,
) -> list[PieceAnalysis]:
    """Transcribe a file and look at the language model's attention while it does.

    A long file is cut at quiet moments; each piece is one input of the language model.

    Args:
        loaded: the model.
        path: a media file.
        modality: what to use of it.
        audio_rate: encoder frames per token; None is the finest trained.
        video_rate: encoder frames per token; None is the finest trained.
        settings: thresholds, and whether maps are kept.
        with_base: also analyse the language model without its adapters, on the same input.

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
        reading = _Reading(loaded, streams, route, span[0])
        language_model = loaded.model.language_model
        lora = loaded.model.lora
        base = None
        if with_base and lora is not None:
            with lora.off():
                base = analyse_sinks(language_model, reading.run, reading.labels, settings)
        analysis, gates, rotations = _examine(language_model, reading.run, reading.labels, settings)
        pieces.append(
            PieceAnalysis(
                path=Path(path),
                start_s=span[0],
                end_s=span[1],
                route=route,
                text=reading.text,
                analysis=analysis,
                gates=gates,
                rotations=rotations,
                base=base,
            )
        )
    return pieces


@torch.no_grad()
def analyse_text(
    language_model: Any, tokenizer: Any, path: str | Path, settings: SinkSettings | None = None
) -> PieceAnalysis:
    """Look at the attention of any causal language model while it reads a text file.

    Args:
        language_model: of transformers.
        tokenizer: its own; what it puts before a text is put before this one.
        path: a text file, as long as the model can read at once.
        settings: thresholds, and whether maps are kept.

    Raises:
        InputError: the file cannot be read, is empty or too long.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from None
    ids = tokenizer(text)["input_ids"]
    longest = getattr(language_model.config, "max_position_embeddings", None)
    if not text or len(ids) > (longest or len(ids)):
        raise InputError(f"{path}: has {len(ids)} tokens; give 1 to {longest or 'any number'}")
    labels = label_pieces("token", tokenizer.convert_ids_to_tokens(ids))
    rows = torch.tensor([ids], device=next(language_model.parameters()).device)

    def run() -> None:
        language_model(input_ids=rows, use_cache=False, logits_to_keep=1)

    analysis, gates, rotations = _examine(language_model, run, labels, settings)
    return PieceAnalysis(path=path, text=text, analysis=analysis, gates=gates, rotations=rotations)


class _Reading:
    """What the model makes of one piece of sound and lips, to be repeated while it is watched.

    Attributes:
        text: what it read.
        labels: of prefix and text.
    """

    def __init__(
        self, loaded: LoadedModel, streams: EncodedStreams, route: Route, start_s: float
    ) -> None:
        self._loaded, self._streams, self._route = loaded, streams, route
        model, tokenizer = loaded.model, loaded.processor.tokenizer
        self.text = decode(loaded, streams, route)[0].text
        model.unfold_lora()  # what is folded for a search lets no gradient through
        self._drafts = prompt_drafts(loaded, read_drafts(loaded, streams, route, SearchOptions()))
        self._ids = [*plain_ids(tokenizer, self.text), tokenizer.eos_token_id]
        draft = None if self._drafts is None else self._drafts[0]
        drafted: list[int] = []
        if draft is not None:
            assert model.config.draft_prompt_ids is not None  # of a model that takes drafts
            before, after = model.config.draft_prompt_ids
            drafted = [*before, *draft, *after]
        prompt = (model.config.prompt_ids or {}).get(route.modality, ())
        self.labels = label_tokens(
            model.config,
            route,
            {
                encoded.stream: int(
                    compressed_lengths(encoded.lengths, route.rate(encoded.stream) or 1)[0]
                )
                for encoded in streams.present
            },
            prompt=tokenizer.convert_ids_to_tokens(list(prompt)),
            draft=tokenizer.convert_ids_to_tokens(drafted),
            text=tokenizer.convert_ids_to_tokens(self._ids),
            start_s=start_s,
        )

    def run(self) -> None:
        """Read it once."""
        self._loaded.model(
            streams=self._streams,
            route=self._route,
            drafts=self._drafts,
            labels=torch.tensor([self._ids], device=self._loaded.device),
            logits_to_keep=len(self._ids) + 1,
            allow_untrained_rate=self._loaded.allow_untrained_rate,
        )


def _examine(
    language_model: Any,
    run: Callable[[], Any],
    labels: Sequence[TokenLabel],
    settings: SinkSettings | None,
) -> tuple[SinkAnalysis, tuple[GateUnit, ...], tuple[Rotation, ...]]:
    def analyse(edit: LayerEdit | None = None) -> SinkAnalysis:
        return analyse_sinks(language_model, run, labels, settings, edit)

    analysis = analyse()
    gates = gate_units(language_model, run, analysis)
    return analysis, gates, rotation_test(analysis, analyse)

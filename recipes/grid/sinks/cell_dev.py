"""Word errors and sinks of one trained cell on the development clips."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fusion import text_labels
from sink_counts import BatchSinks
from torch import Tensor

from avsr import AvsrProcessor, EncodedStreams, Route, SearchOptions
from avsr.sinks.experiment import Cell, Experiment
from avsr.text import count_word_errors
from avsr.trained_route import trained_route
from avsr_adapters import AttentionRecycler, tapped_attention

SEARCH = SearchOptions(num_beams=1, max_new_tokens=10)
DESCRIBED = 16  # clips of each corpus whose sinks are counted


class DevClips:
    """All development clips with their features.

    Args:
        folder: of ``dev_features.py``.
        processor: for the labels.
    """

    def __init__(self, folder: Path, processor: AvsrProcessor) -> None:
        self.parts: list[tuple[str, dict[str, Any]]] = []
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as arrays:
                part: dict[str, Any] = {
                    name: torch.from_numpy(arrays[name]).float() for name in ("audio", "video")
                }
                part["texts"] = arrays["texts"].tolist()
            part["labels"] = text_labels(processor, part["texts"])
            self.parts.append((path.stem, part))
        if not self.parts:
            raise FileNotFoundError(f"{folder} holds no features: run dev_features.py first")


def measure_cell(
    model: Any, processor: AvsrProcessor, cell: Cell, experiment: Experiment, clips: DevClips
) -> list[dict[str, Any]]:
    """One row for each corpus, modality, rate pair and training-free variant.

    Variants: "plain"; for Matryoshka models without decorrelation and norms "recycled-SHARE"
    (attention of non-BOS sinks given to the audio and video tokens); for language models without
    BOS "register" (an untrained token, ``<pad>``, before everything else).
    """
    rows = []
    model.eval()
    for corpus, part in clips.parts:
        for modality in experiment.modalities:
            for pair in cell.rate_pairs:
                for variant in _variants(cell, experiment):
                    route = trained_route(model.config, modality, *pair)
                    row = {"corpus": corpus, **asdict(route), "variant": variant}
                    rows.append(row | _measure(model, processor, part, route, variant))
    return rows


def _variants(cell: Cell, experiment: Experiment) -> list[str]:
    variants = ["plain"]
    if cell.training == "matryoshka" and cell.weight == 0 and not cell.layer_norm:
        variants += [f"recycled-{share:g}" for share in experiment.recycled_shares]
    return variants if cell.bos else [*variants, "register"]


@torch.no_grad()
def _measure(
    model: Any, processor: AvsrProcessor, part: dict, route: Route, variant: str
) -> dict[str, Any]:
    streams = EncodedStreams.whole(audio=part["audio"], video=part["video"]).of(route)
    bos = model.config.bos_token_id
    if variant == "register":
        model.config.bos_token_id = model.config.pad_token_id
    try:
        described = _sinks(model, streams, route, part["labels"], DESCRIBED).describe()
        if variant.startswith("recycled"):
            share = float(variant.partition("-")[2])
            recycler = _recycler(model, streams, route, part["labels"], share)
            described["recycled_tokens"] = round(recycler.n_sources, 5)
            ids = _generate_recycled(model, streams, route, recycler)
        else:
            ids = model.generate(streams=streams, route=route, search=SEARCH).tolist()
    finally:
        model.config.bos_token_id = bos
    texts = processor.batch_decode(ids)
    errors = [
        count_word_errors([reference], [text])
        for reference, text in zip(part["texts"], texts, strict=True)
    ]
    counts = {"errors": [e.n_errors for e in errors], "n_words": [e.n_words for e in errors]}
    return counts | described


def _generate_recycled(
    model: Any, streams: EncodedStreams, route: Route, recycler: AttentionRecycler
) -> list[list[int]]:
    """Token ids of each clip, read alone: the search drops rows of a batch as they end."""
    found = []
    for row in range(streams.n_clips):
        one = streams.rows([row])
        with tapped_attention(model.language_model, recycler.of_row(row)):
            found.append(model.generate(streams=one, route=route, search=SEARCH)[0].tolist())
    return found


def _sinks(
    model: Any, streams: EncodedStreams, route: Route, labels: Tensor, n_clips: int
) -> BatchSinks:
    """Let the model read the first clips with their true texts."""
    few = streams.rows(range(min(n_clips, len(labels))))

    def read() -> None:
        n_kept = labels.shape[1] + 1
        model(streams=few, route=route, labels=labels[:n_clips], logits_to_keep=n_kept)

    return BatchSinks(model.language_model, read, n_text=labels.shape[1])


def _recycler(
    model: Any, streams: EncodedStreams, route: Route, labels: Tensor, share: float
) -> AttentionRecycler:
    """Move attention from all sinks but the first token to the tokens of sound and lips."""
    sinks = _sinks(model, streams, route, labels, len(labels)).sinks
    found = sinks[..., : sinks.shape[-1] - labels.shape[1]].clone()
    found[..., 0] = False
    targets = torch.zeros(found.shape[1:], dtype=torch.bool)
    start = 1 if model.config.bos_token_id is not None else 0
    for encoded in streams.present:
        n_tokens = encoded.features.shape[1] // (route.rate(encoded.stream) or 1)
        targets[:, start + 1 : start + 1 + n_tokens] = True
        start += n_tokens + 2
    return AttentionRecycler(found, targets, share)

"""What one trained cell does: likelihood of the texts, word errors, sinks."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from cell_clips import CellClips
from torch.nn import functional

from avsr import AvsrProcessor, Route, SearchOptions
from avsr.decoding.sequence import IGNORED_LABEL
from avsr.model_parts.adapters import adapters_of
from avsr.sinks import SinkAnalysis, analyse_sinks, label_tokens
from avsr.text import count_word_errors

SEARCH = SearchOptions(num_beams=1, draft="none", max_new_tokens=24)
BATCH = 16
DESCRIBED = 6  # clips whose sinks are counted
KINDS = ("marker", "audio", "video", "prompt")


@torch.inference_mode()
def measure(
    model: Any,
    processor: AvsrProcessor,
    clips: CellClips,
    route: Route,
    *,
    with_words: bool = False,
    n_described: int = DESCRIBED,
) -> dict[str, Any]:
    """One row of results.

    Args:
        model: in evaluation mode; its LoRA is folded from here on.
        processor: its processor.
        clips: to be read without drafts.
        route: modality and rates.
        with_words: also search greedily, which takes several times as long.
        n_described: clips whose sinks are counted.

    Returns:
        The route, and for each clip ``nll`` (nats of its text and end) and ``n_tokens``; with
        words ``errors`` of greedy search and ``n_words``; then what :func:`describe` gives.
    """
    model.fold_lora(adapters_of(model.config, route))
    nll = np.zeros(len(clips))
    said = [""] * len(clips)
    for rows in clips.batches(BATCH):
        streams, labels = clips.batch(rows)
        logits = model(
            streams=streams, route=route, labels=labels, logits_to_keep=labels.shape[1] + 1
        ).logits
        predicted = logits[:, -labels.shape[1] - 1 : -1].float().transpose(1, 2)
        lost = functional.cross_entropy(
            predicted, labels, ignore_index=IGNORED_LABEL, reduction="none"
        )
        nll[rows] = lost.sum(dim=1).numpy()
        if with_words:
            found = model.generate(streams=streams, route=route, search=SEARCH)
            for row, text in zip(rows, processor.batch_decode(found), strict=True):
                said[row] = " ".join(text.lower().split())
    results: dict[str, Any] = {
        **asdict(route),
        "nll": [round(value, 4) for value in nll.tolist()],
        "n_tokens": [len(ids) for ids in clips.ids],
    }
    if with_words:
        counted = [count_word_errors([a], [b]) for a, b in zip(clips.texts, said, strict=True)]
        results["errors"] = [errors.n_errors for errors in counted]
        results["n_words"] = [errors.n_words for errors in counted]
    return results | (describe(model, clips, route, n_described) if n_described else {})


def describe(model: Any, clips: CellClips, route: Route, n_clips: int) -> dict[str, float]:
    """Sinks of the prefixes of the first clips, means over these.

    Returns:
        first_attention: attention that the first token gets, layers 2 on.
        first_is_sink: share of the layers 2 on in which it is a sink.
        sinks_KIND: tokens of a kind (see ``KINDS``) that are a sink in any layer.
        peak: largest activation over the median of its layer.
        peak_others: the same without the first token.
        cosine: mean squared cosine to the first token in layers 2 to L-1, the paper's loss.
        cosine_released: in layers 1 to L-1, that of the released code.
    """
    lines = []
    for row in range(min(n_clips, len(clips))):
        streams, labels = clips.batch([row])

        def run(streams: Any = streams, labels: Any = labels) -> None:
            model(streams=streams, route=route, labels=labels, logits_to_keep=labels.shape[1] + 1)

        prompt = (model.config.prompt_ids or {}).get(route.modality, ())
        said = [str(token) for token in clips.ids[row]]
        named = label_tokens(
            model.config,
            route,
            clips.n_tokens(row, route),
            [str(token) for token in prompt],
            text=said,
        )
        analysis = analyse_sinks(model.language_model, run, named)
        lines.append(_description(analysis, len(named) - len(said)))
    return {name: round(float(np.mean([line[name] for line in lines])), 5) for name in lines[0]}


def _description(analysis: SinkAnalysis, n_prefix: int) -> dict[str, float]:
    sinks = analysis.is_sink[1:, :n_prefix]
    anywhere = sinks.any(axis=0)
    kinds = [label.kind for label in analysis.labels[:n_prefix]]
    peaks = analysis.peaks[1:, :n_prefix].max(axis=0)
    squares = np.square(analysis.cosines[: analysis.n_layers, 1:n_prefix])
    counts = {
        f"sinks_{kind}": float(sum(anywhere[i] for i, own in enumerate(kinds) if own == kind))
        for kind in KINDS
    }
    return {
        "first_attention": float(analysis.received[1:, 0].mean()),
        "first_is_sink": float(sinks[:, 0].mean()),
        **counts,
        "peak": float(peaks.max()),
        "peak_others": float(peaks[1:].max()),
        "cosine": float(squares[2:].mean()),
        "cosine_released": float(squares[1:].mean()),
    }

"""Which tokens are sinks before and after fine-tuning, over many clips.

    python recipes/english/sinks/before_after.py --features DIR --out FILE

The bundled English model reads clips with and without its LoRA: the same input, with the true text
and no draft. Writes, for each state, rate and token, the means over clips of what :func:`describe`
gives; sound, lips and text count as one token each.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cell_clips import read_clips
from train_cells import model_folder

from avsr import AvsrForConditionalGeneration, AvsrProcessor, Route
from avsr.atomic import write_text_atomically
from avsr.sinks import SinkAnalysis, TokenLabel, analyse_sinks, label_tokens

EARLY, LATE = slice(2, 10), slice(12, None)  # layers 3 to 10, 13 to L
LEAST_LAYERS = 2
ROUTES = [Route.parse("A4"), Route.parse("A16")]


def describe(
    analysis: SinkAnalysis, names: Sequence[TokenLabel], n_text: int
) -> dict[str, dict[str, Any]]:
    """What one clip shows, by the name of a token.

    Args:
        analysis: of the clip.
        names: of its tokens.
        n_text: tokens of the text, at the end.

    Returns:
        For each token: ``sinks``, how many of that name are a sink of at least two layers;
        ``early`` and ``late``, the attention it gets in layers 3 to 10 and 13 to L, the most of
        that name; ``layers``, for each layer whether one is a sink. Under ``loss``, ``cosine``:
        the mean squared cosine to the first token in layers 2 to L-1.
    """
    tokens: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(names):
        name = label.kind if label.kind in ("audio", "video", "text") else label.name
        tokens[name].append(index)
    lasting = analysis.is_sink.sum(axis=0) >= LEAST_LAYERS
    found: dict[str, dict[str, Any]] = {}
    for name, where in tokens.items():
        most = analysis.received[:, where].max(axis=1)
        found[name] = {
            "sinks": int(lasting[where].sum()),
            "early": float(most[EARLY].mean()) if most[EARLY].size else 0.0,
            "late": float(most[LATE].mean()) if most[LATE].size else 0.0,
            "layers": analysis.is_sink[:, where].any(axis=1).astype(float),
        }
    inner = analysis.cosines[2 : analysis.n_layers, 1:-n_text]
    return found | {"loss": {"cosine": float(np.square(inner).mean())}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, type=Path)
    parser.add_argument("--model", default="english", help="bundled model, or folder of one")
    parser.add_argument("--lips", type=Path, help="folder of features of lips")
    parser.add_argument("--routes", nargs="+", type=Route.parse, default=ROUTES, help='as "A4 V2"')
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    if args.out.exists():
        return
    torch.set_num_threads(1)
    folder = model_folder(args.model)
    processor = AvsrProcessor.from_pretrained(folder)
    tokenizer = processor.tokenizer
    model: Any = AvsrForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    clips = read_clips(args.features, tokenizer, int(tokenizer.eos_token_id), args.lips)
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for route in args.routes:
        asked = list(model.config.prompt_ids[route.modality])
        prompt = tokenizer.convert_ids_to_tokens(asked)
        for row in range(min(args.clips, len(clips))):
            streams, labels = clips.batch([row])
            n_tokens = clips.n_tokens(row, route)
            names = label_tokens(
                model.config, route, n_tokens, prompt, text=["text"] * labels.numel()
            )

            def run(streams: Any = streams, labels: Any = labels, route: Route = route) -> None:
                kept = labels.shape[1] + 1
                model(streams=streams, route=route, labels=labels, logits_to_keep=kept)

            for state in ("before", "after"):
                with model.lora.off() if state == "before" else nullcontext():
                    analysis = analyse_sinks(model.language_model, run, names)
                for name, values in describe(analysis, names, labels.numel()).items():
                    for key, value in values.items():
                        found[f"{state} {route.text}, {name}"][key].append(value)
    means = {
        name: {key: np.mean(values, axis=0).round(4).tolist() for key, values in cell.items()}
        for name, cell in found.items()
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(args.out, json.dumps(means, indent=1) + "\n")


if __name__ == "__main__":
    main()

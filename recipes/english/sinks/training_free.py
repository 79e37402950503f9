"""What needs no training: attention moved from sinks, a register token, fewer tokens, fewer keys.

    python recipes/english/sinks/training_free.py --features DIR --out FILE [--words]
        [--lips DIR --routes "A4 V2"] [--only VARIANT ...]

Reads clips with the bundled English model as it is, without drafts, and writes for each variant and
clip the nats of the text; goes on where it was stopped. Tokens of rate 4 are reduced to a half, a
quarter and an eighth, those of rate 16 to a half, sound and lips together to a half.

- ``recycled-S``: the share S of what sinks that are neither BOS nor streams get goes to sound and
  lips (the idea of VAR, arXiv 2503.03321); ``recycled-S-bos``: BOS gives too.
- ``calibrated-S``: the same share goes to all tokens that are no sinks (the idea of ACT).
- ``register``: BOS twice.
- ``merged``, ``diverse``, ``pooled``: see ``token_reduction.py``; the number is what the tokens of
  each stream are divided by.
- ``split-H``: half of all tokens, the most different ones, split between sound and lips by what
  their heads are sure of (``measured``), or as many as there are of one (``sound``, ``lips``).
- ``late-K-S``: from layer K on without the share S of the keys of sound and lips.
"""

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from cell_clips import read_clips
from clip_prefix import Prefix, prefix_of
from late_keys import LateKeys
from token_budget import split_budget
from token_reduction import REDUCTIONS, choose_diverse
from torch import Tensor
from torch.nn import functional
from train_cells import model_folder

from avsr import AvsrForConditionalGeneration, AvsrProcessor, Route
from avsr.atomic import write_text_atomically
from avsr.model_parts.adapters import adapters_of
from avsr.sinks import analyse_prefix
from avsr.text import count_word_errors
from avsr_adapters import AttentionRecycler, tapped_attention

SHARES = (1.0,)
SHORTER = {"A4": (2, 4, 8), "A16": (2,), "A4 V2": (2,)}  # what numbers of tokens are divided by
LATE_LAYERS = (10, 15, 20, 25)
LATE_SHARES = (0.5, 1.0)
SPLITS = ("measured", "sound", "lips")
ROUTES = [Route.parse("A4"), Route.parse("A16")]


def variants(model: Any, prefix: Prefix, shorter: Sequence[int]) -> dict[str, Any]:
    """For each name the embeddings to read and, where attention is changed, its tap."""
    table, embeds = model.get_input_embeddings(), prefix.embeds
    bos = table(torch.tensor([[model.config.bos_token_id]]))
    found: dict[str, Any] = {
        "plain": (embeds, None),
        "register": (torch.cat([bos, embeds], dim=1), None),
    }
    sinks = torch.from_numpy(analyse_prefix(model.language_model, embeds).is_sink)[:, None]
    streamed, ordinary = prefix.streamed, ~sinks.any(dim=0)
    for share in SHARES:
        others = sinks.clone()
        others[..., 0] = False
        for name, sources, targets in (
            (f"recycled-{share:g}", others, streamed[None]),
            (f"recycled-{share:g}-bos", sinks, streamed[None]),
            (f"calibrated-{share:g}", others, ordinary),
        ):
            found[name] = (embeds, AttentionRecycler(sources, targets, share))
    there = prefix.n_streamed
    for name, reduction in REDUCTIONS.items():
        for factor in shorter:
            wanted = {stream: max(1, n // factor) for stream, n in there.items()}
            found[f"{name}-{factor}"] = (prefix.shortened(reduction, wanted), None)
    if len(there) == 2:
        for name in SPLITS:
            kept = split_of(prefix, name)
            found[f"split-{name}"] = (prefix.shortened(choose_diverse, kept), None)
    for layer in LATE_LAYERS:
        for share in LATE_SHARES:
            found[f"late-{layer}-{share:g}"] = (embeds, LateKeys(streamed, layer, share))
    return found


def split_of(prefix: Prefix, name: str) -> dict[str, int]:
    """Tokens of sound and lips in half of all."""
    there = prefix.n_streamed
    budget = sum(max(1, n // 2) for n in there.values())
    share = {"measured": prefix.sound_share, "sound": 1.0, "lips": 0.0}[name]
    kept = split_budget(there["audio"], there["video"], budget, share)
    return dict(zip(("audio", "video"), kept, strict=True))


def nats(model: Any, embeds: Tensor, tap: Any, ids: list[int]) -> float:
    """Of a text and its end behind a prefix."""
    labels = torch.tensor([ids])
    rows = torch.cat([embeds, model.get_input_embeddings()(labels)], dim=1)
    with tapped_attention(model.language_model, tap) if tap is not None else nullcontext():
        logits = model.language_model(
            inputs_embeds=rows, use_cache=False, logits_to_keep=len(ids) + 1
        ).logits
    return float(functional.cross_entropy(logits[0, :-1].float(), labels[0], reduction="sum"))


def words(model: Any, processor: Any, embeds: Tensor, tap: Any, text: str) -> int:
    """Errors of greedy search behind a prefix."""
    with tapped_attention(model.language_model, tap) if tap is not None else nullcontext():
        ids = model.language_model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
            max_new_tokens=24,
            do_sample=False,
        )
    (said,) = processor.batch_decode(ids)
    return count_word_errors([text], [" ".join(said.lower().split())]).n_errors


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, type=Path)
    parser.add_argument("--model", default="english", help="bundled model, or folder of one")
    parser.add_argument("--lips", type=Path, help="folder of features of lips")
    parser.add_argument("--routes", nargs="+", type=Route.parse, default=ROUTES, help='as "A4 V2"')
    parser.add_argument("--only", nargs="+", help="names of variants; default: all")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--words", action="store_true", help="also search greedily")
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = model_folder(args.model)
    processor = AvsrProcessor.from_pretrained(folder)
    model: Any = AvsrForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    end = int(processor.tokenizer.eos_token_id)
    clips = read_clips(args.features, processor.tokenizer, end, args.lips)
    results: dict[str, Any] = {"n_tokens": [], "n_words": [], "seconds": []}
    results |= {"sound_share": {}, "variants": {}}
    if args.out.exists():  # a run that was stopped, or had fewer clips
        results = json.loads(args.out.read_text())
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for row in range(len(results["n_tokens"]), min(args.clips, len(clips))):
        for route in args.routes:
            model.fold_lora(adapters_of(model.config, route))
            prefix = prefix_of(model, clips, row, route)
            found = variants(model, prefix, SHORTER.get(route.text, ()))
            for name, (embeds, tap) in found.items():
                if args.only and name not in args.only:
                    continue
                named = f"{route.text} {name}"
                line = results["variants"].setdefault(named, {"nll": [], "n_streamed": []})
                line["nll"].append(round(nats(model, embeds, tap, clips.ids[row]), 4))
                left = sum(prefix.n_streamed.values()) + embeds.shape[1] - prefix.embeds.shape[1]
                line["n_streamed"].append(left)
                if args.words:
                    errors = words(model, processor, embeds, tap, clips.texts[row])
                    line.setdefault("errors", []).append(errors)
            shares = results["sound_share"].setdefault(route.text, [])
            shares.append(round(prefix.sound_share, 4))
        results["n_tokens"].append(len(clips.ids[row]))
        results["n_words"].append(len(clips.texts[row].split()))
        results["seconds"].append(len(clips.features[row]) / 50)
        write_text_atomically(args.out, json.dumps(results) + "\n")


if __name__ == "__main__":
    main()

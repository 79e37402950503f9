"""What needs no training: attention moved from sinks, a register token, fewer tokens.

    python recipes/english/sinks/training_free.py --features DIR --out FILE [--words]

Reads clips with the bundled English model as it is, without drafts, and writes for each variant and
clip the nats of the text; goes on where it was stopped. Rates 4 and 16 were trained. Tokens of rate
4 are reduced to a half, a quarter and an eighth, those of rate 16 to a half.

- ``recycled-S``: the share S of what sinks that are neither BOS nor sound get goes to the sound
  (the idea of VAR, arXiv 2503.03321); ``recycled-S-bos``: BOS gives too.
- ``calibrated-S``: the same share goes to all tokens that are no sinks (the idea of ACT).
- ``register``: BOS twice.
- ``merged``, ``diverse``, ``pooled``: see ``token_reduction.py``; the number is what tokens are
  divided by.
"""

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from cell_clips import CellClips, read_clips
from token_reduction import REDUCTIONS
from torch import Tensor
from torch.nn import functional
from train_cells import model_folder

from avsr import AvsrForConditionalGeneration, AvsrProcessor, Route
from avsr.atomic import write_text_atomically
from avsr.model_parts.adapters import adapters_of
from avsr.model_parts.prefix import build_prefix
from avsr.sinks import analyse_prefix
from avsr.text import count_word_errors
from avsr_adapters import AttentionRecycler, tapped_attention

FIRST_SOUND = 2  # after BOS and <audio>
SHARES = (1.0,)
SHORTER = {4: (2, 4, 8), 16: (2,)}  # by rate, what the number of tokens is divided by


def prefix_of(model: Any, clips: CellClips, row: int, rate: int) -> tuple[Tensor, int]:
    """[1, S, D] of one clip, and how many of its tokens are sound."""
    route = Route(modality="audio", audio_rate=rate)
    streams, _ = clips.batch([row])
    embeds = build_prefix(model, streams, [route]).embeds
    return embeds, max(1, len(clips.features[row]) // rate)


def variants(model: Any, embeds: Tensor, n_sound: int, shorter: Sequence[int]) -> dict[str, Any]:
    """For each name the prefix to read and, where attention is moved, its tap."""
    table = model.get_input_embeddings()
    bos = table(torch.tensor([[model.config.bos_token_id]]))
    found: dict[str, Any] = {
        "plain": (embeds, None),
        "register": (torch.cat([bos, embeds], dim=1), None),
    }
    sinks = torch.from_numpy(analyse_prefix(model.language_model, embeds).is_sink)[:, None]
    sound = torch.zeros(embeds.shape[:2], dtype=torch.bool)
    sound[:, FIRST_SOUND : FIRST_SOUND + n_sound] = True
    ordinary = ~sinks.any(dim=0)
    for share in SHARES:
        others = sinks.clone()
        others[..., 0] = False
        for name, sources, targets in (
            (f"recycled-{share:g}", others, sound),
            (f"recycled-{share:g}-bos", sinks, sound),
            (f"calibrated-{share:g}", others, ordinary),
        ):
            found[name] = (embeds, AttentionRecycler(sources, targets, share))
    before, after = embeds[:, :FIRST_SOUND], embeds[:, FIRST_SOUND + n_sound :]
    tokens = embeds[0, FIRST_SOUND : FIRST_SOUND + n_sound]
    for name, reduction in REDUCTIONS.items():
        for factor in shorter:
            fewer = reduction(tokens, max(1, n_sound // factor))[None]
            found[f"{name}-{factor}"] = (torch.cat([before, fewer, after], dim=1), None)
    return found


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
    parser.add_argument("--rates", nargs="+", type=int, default=[4, 16])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--words", action="store_true", help="also search greedily")
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = model_folder(args.model)
    processor = AvsrProcessor.from_pretrained(folder)
    model: Any = AvsrForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    clips = read_clips(args.features, processor.tokenizer, int(processor.tokenizer.eos_token_id))
    results: dict[str, Any] = {"n_tokens": [], "n_words": [], "seconds": [], "variants": {}}
    if args.out.exists():  # a run that was stopped, or had fewer clips
        results = json.loads(args.out.read_text())
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for row in range(len(results["n_tokens"]), min(args.clips, len(clips))):
        for rate in args.rates:
            model.fold_lora(adapters_of(model.config, Route(modality="audio", audio_rate=rate)))
            embeds, n_sound = prefix_of(model, clips, row, rate)
            found = variants(model, embeds, n_sound, SHORTER.get(rate, ()))
            for name, (prefix, tap) in found.items():
                line = results["variants"].setdefault(f"A{rate} {name}", {"nll": [], "n_sound": []})
                line["nll"].append(round(nats(model, prefix, tap, clips.ids[row]), 4))
                line["n_sound"].append(n_sound + prefix.shape[1] - embeds.shape[1])
                if args.words:
                    errors = words(model, processor, prefix, tap, clips.texts[row])
                    line.setdefault("errors", []).append(errors)
        results["n_tokens"].append(len(clips.ids[row]))
        results["n_words"].append(len(clips.texts[row].split()))
        results["seconds"].append(len(clips.features[row]) / 50)
        write_text_atomically(args.out, json.dumps(results) + "\n")


if __name__ == "__main__":
    main()

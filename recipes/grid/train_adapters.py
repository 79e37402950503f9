"""Train projectors, LoRA and CTC heads on cached features of the frozen encoders.

    python recipes/grid/train_adapters.py --model DIR --features DIR --dev DIR DIR --out DIR

Every step draws one rate pair and runs the three tasks on it (Omni-AVSR's objective), with the
decorrelation loss. The checkpoint kept is the one with the lowest mean WER over the dev corpora
and all combinations of task and rates. Stops and resumes anywhere.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from corpus import load_corpus
from fusion import dev_wer, training_loss
from pairs import PairSampler
from train_encoder import learning_rate, update_average

from avsr import AvsrForConditionalGeneration, AvsrProcessor

CHECKPOINT_EVERY = 200


def load_chunks(folder: Path) -> list[dict[str, np.ndarray]]:
    """All feature chunks, in memory."""
    chunks = []
    for path in sorted(folder.glob("chunk_*.npz")):
        with np.load(path) as arrays:
            chunks.append({name: arrays[name] for name in arrays})
    if not chunks:
        raise FileNotFoundError(f"{folder} holds no feature chunks: run cache_features.py first")
    return chunks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--features", required=True, type=Path)
    parser.add_argument("--dev", nargs="+", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    chunks = load_chunks(args.features)
    dev = {Path(f).name: PairSampler([load_corpus(f)], None, 0) for f in args.dev}
    model = AvsrForConditionalGeneration.from_pretrained(args.model)
    average = AvsrForConditionalGeneration.from_pretrained(args.model)
    processor = AvsrProcessor.from_pretrained(args.model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.05)
    step, best, checkpoint = 0, float("inf"), args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, best = state["step"], state["best"]
    began, first_step, log = time.time(), step, []
    model.train()
    while step < args.steps:
        generator = np.random.default_rng((args.seed, step, 11))
        chunk = chunks[generator.integers(len(chunks))]
        rows = generator.choice(len(chunk["labels"]), args.batch_size, replace=False)
        audio, video = (torch.from_numpy(chunk[s][rows]).float() for s in ("audio", "video"))
        labels = torch.from_numpy(chunk["labels"][rows])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.learning_rate)
        with torch.autocast("cpu", torch.bfloat16):
            loss, values = training_loss(model, audio, video, labels, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        step += 1
        update_average(average, model, min(0.995, step / (step + 10)))
        log.append(values)
        if step % CHECKPOINT_EVERY == 0 or step == args.steps:
            means = {k: round(float(np.mean([v[k] for v in log])), 4) for k in log[0]}
            rate = (step - first_step) / (time.time() - began)
            wers = {name: dev_wer(average, processor, each) for name, each in dev.items()}
            mean = float(np.mean([wer for each in wers.values() for wer in each.values()]))
            line = {"step": step, **means, "left_s": round((args.steps - step) / rate), **wers}
            line["mean_dev_wer"] = round(mean, 4)
            log = []
            print(json.dumps(line), flush=True)
            with open(args.out / "log.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            if mean < best:
                best = mean
                average.save_pretrained(args.out / "model", storage_dtype=torch.float16)
                processor.save_pretrained(args.out / "model")
            state = {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step,
                "best": best,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)


if __name__ == "__main__":
    main()

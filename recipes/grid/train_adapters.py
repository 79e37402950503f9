"""Train projectors, LoRA and CTC heads on cached features of the frozen encoders.

    python recipes/grid/train_adapters.py --model DIR --features DIR --dev DIR DIR --out DIR

Every step draws one rate pair and runs the three tasks on it (Omni-AVSR's objective), with the
decorrelation loss. The checkpoint kept is the one with the lowest mean WER over the dev corpora
and all combinations of task and rates. Stops and resumes anywhere.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from corpus import load_corpus
from fusion import dev_wer, training_loss
from pairs import PairSampler
from torch.nn.attention import SDPBackend, sdpa_kernel
from train_encoder import learning_rate
from training_state import TrainingState

from avsr import AvsrForConditionalGeneration, AvsrProcessor
from avsr.model_parts.streams import EncodedStreams

CHECKPOINT_EVERY = 100
EMA_DECAY = 0.99


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
    parser.add_argument("--learning-rate", type=float, default=7e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    chunks = load_chunks(args.features)
    dev = {Path(f).name: PairSampler([load_corpus(f)], None, 0) for f in args.dev}
    model = AvsrForConditionalGeneration.from_pretrained(args.model)
    average = AvsrForConditionalGeneration.from_pretrained(args.model)
    processor = AvsrProcessor.from_pretrained(args.model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.05)
    state = TrainingState(model, average, optimizer, args.out)
    state.resume()
    began, first_step, log = time.time(), state.step, []
    model.train()
    while state.step < args.steps:
        generator = np.random.default_rng((args.seed, state.step, 11))
        chunk = chunks[generator.integers(len(chunks))]
        rows = generator.choice(len(chunk["labels"]), args.batch_size, replace=False)
        audio, video = (torch.from_numpy(chunk[s][rows]).float() for s in ("audio", "video"))
        streams = EncodedStreams.whole(audio=audio, video=video)
        labels = torch.from_numpy(chunk["labels"][rows])
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            loss, values = training_loss(model, streams, labels, generator)
        rate = learning_rate(state.step, args.steps, args.learning_rate)
        state.apply(loss, [rate], EMA_DECAY)
        log.append(values)
        if state.step % CHECKPOINT_EVERY == 0 or state.step == args.steps:
            line = {k: round(float(np.mean([v[k] for v in log])), 4) for k in log[0]}
            log = []
            speed = (state.step - first_step) / (time.time() - began)
            wers = {name: dev_wer(average, processor, each) for name, each in dev.items()}
            mean = float(np.mean([wer for each in wers.values() for wer in each.values()]))
            if mean < state.extra.get("best", float("inf")):
                state.extra["best"] = mean
                average.save_pretrained(args.out / "model", storage_dtype=torch.float16)
                processor.save_pretrained(args.out / "model")
            left_s = round((args.steps - state.step) / speed)
            line |= {"step": state.step, "left_s": left_s, **wers, "mean_dev_wer": round(mean, 4)}
            state.save(line)


if __name__ == "__main__":
    main()

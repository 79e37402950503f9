"""Train encoders, projectors and LoRA together, end to end, before the encoders are frozen.

    python recipes/grid/polish.py --language-model DIR --audio DIR --video DIR \\
        --corpora DIR DIR --shares 0.7 0.3 --dev DIR --babble DIR --out DIR --steps 600

For the first steps the encoders stand still and the projectors learn what the language model was
prepared to read (``fusion.alignment_loss``); then everything but the language model's own weights
moves. Stops and resumes anywhere.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from corpus import load_corpus
from fusion import (
    alignment_loss,
    both_ctc_losses,
    build_model,
    dev_wer,
    encode,
    text_labels,
    training_loss,
)
from pairs import PairSampler
from torch.nn.attention import SDPBackend, sdpa_kernel
from train_encoder import load_noise
from training_state import TrainingState

CHECKPOINT_EVERY = 100
FROZEN_STEPS = 200
EMA_DECAY = 0.99
DECAY_SHARE = 0.5


def encoder_learning_rate(step: int, steps: int, peak: float) -> float:
    """Zero while the encoders stand still, then warm-up and a linear fall over the last half."""
    if step < FROZEN_STEPS:
        return 0.0
    warm = min(1.0, (step - FROZEN_STEPS + 1) / 50)
    return peak * warm * min(1.0, (steps - step) / (steps * DECAY_SHARE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language-model", required=True, type=Path)
    parser.add_argument("--audio", required=True, type=Path)
    parser.add_argument("--video", required=True, type=Path)
    parser.add_argument("--corpora", nargs="+", required=True)
    parser.add_argument("--shares", nargs="+", type=float, required=True)
    parser.add_argument("--dev", nargs="+", required=True)
    parser.add_argument("--babble", nargs="*", default=[])
    parser.add_argument("--noise")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="of the new parts")
    parser.add_argument("--encoder-learning-rate", type=float, default=5e-4)
    parser.add_argument("--strength", type=float, default=0.8, help="of the augmentation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    noise = load_noise(args.noise, [load_corpus(folder) for folder in args.babble])
    sampler = PairSampler([load_corpus(f) for f in args.corpora], noise, args.seed + 1)
    dev = {Path(f).name: PairSampler([load_corpus(f)], None, 0) for f in args.dev}
    parts = (args.language_model, args.audio, args.video)
    model, processor = build_model(*parts)
    average, _ = build_model(*parts)
    encoders = [model.get_submodule(f"{stream}_encoder") for stream in ("audio", "video")]
    for encoder in encoders:
        encoder.requires_grad_(True)
    moving = [p for encoder in encoders for p in encoder.parameters()]
    moving_ids = {id(p) for p in moving}
    new = [p for p in model.parameters() if p.requires_grad and id(p) not in moving_ids]
    optimizer = torch.optim.AdamW(
        [{"params": new}, {"params": moving}], betas=(0.9, 0.98), weight_decay=0.05
    )
    state = TrainingState(model, average, optimizer, args.out)
    state.resume()
    began, first_step, log = time.time(), state.step, []
    model.train()
    while state.step < args.steps:
        step = state.step
        generator = np.random.default_rng((args.seed, step, 7))
        batch = sampler.draw(step, args.batch_size, args.shares, args.strength)
        frozen = step < FROZEN_STEPS
        for encoder in encoders:
            encoder.train(not frozen)
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            with torch.set_grad_enabled(not frozen):
                streams = encode(model, batch)
            labels = text_labels(processor, batch.texts)
            if frozen:
                loss = alignment_loss(model, processor, streams, batch.timings)
                ctc, values = both_ctc_losses(model, streams, labels)
                values["alignment"] = loss.item()
                loss = loss + ctc
            else:
                loss, values = training_loss(model, streams, labels, generator)
        warm = min(1.0, (step + 1) / 30)
        rates = [
            args.learning_rate * min(warm, (args.steps - step) / (args.steps * DECAY_SHARE)),
            encoder_learning_rate(step, args.steps, args.encoder_learning_rate),
        ]
        state.apply(loss, rates, EMA_DECAY)
        log.append(values)
        if state.step == FROZEN_STEPS:
            average.load_state_dict(model.state_dict())
        if state.step % CHECKPOINT_EVERY == 0 or state.step == args.steps:
            means = {k: np.mean([v[k] for v in log if k in v]) for k in log[-1]}
            log = []
            speed = (state.step - first_step) / (time.time() - began)
            line = {"step": state.step, "left_s": round((args.steps - state.step) / speed)}
            line |= {name: round(float(mean), 4) for name, mean in means.items()}
            line |= {name: dev_wer(average, processor, each) for name, each in dev.items()}
            state.save(line)
    average.save_pretrained(args.out / "model")
    processor.save_pretrained(args.out / "model")


if __name__ == "__main__":
    main()

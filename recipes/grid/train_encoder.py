"""Train one encoder to name the word (and phone) that is spoken in every frame.

    python recipes/grid/train_encoder.py audio --corpora DIR DIR --shares 0.5 0.5 --steps 6000

Stops and resumes anywhere: run the same command again. The learning rate stays constant until
the last fifth of ``--steps``. A finished run is lengthened, with other corpora if you like, by more
``--steps`` and ``--restart-at`` the step where it stood.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from audio_augmentation import NoiseSource
from corpus import IGNORED, WORDS, Corpus, load_corpus, phone_inventory
from encoders import ENCODER_WIDTH, build_encoder
from grammar_search import best_sentence
from streams import StreamSampler
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from training_state import TrainingState

DECAY_SHARE = 0.2  # of all steps, at the end
CLEAN_SHARE = 0.2  # of all steps, at the start, before augmentation ramps up
RAMP_SHARE = 0.2  # of all steps, while it ramps up
CHECKPOINT_EVERY = 250  # steps
EMA_DECAY = 0.998


class FrameClassifier(nn.Module):
    """An encoder with one linear head for words and one for phones."""

    def __init__(self, stream: str, n_phones: int) -> None:
        super().__init__()
        self.encoder = build_encoder(stream)
        width = ENCODER_WIDTH
        self.word_head = nn.Linear(width, len(WORDS))
        self.phone_head = nn.Linear(width, n_phones + 1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        features = functional.dropout(self.encoder(inputs), 0.1, self.training)
        return self.word_head(features), self.phone_head(features)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm up over 200 steps, stay, fall linearly to zero over the last fifth."""
    decay_from = steps * (1 - DECAY_SHARE)
    rate = peak * min(1.0, (step + 1) / 200)
    return rate * min(1.0, max(0.02, (steps - step) / (steps - decay_from)))


def augmentation_strength(step: int, steps: int) -> float:
    """Nothing for the first fifth of the steps, then up to full strength."""
    return float(np.clip((step / steps - CLEAN_SHARE) / RAMP_SHARE, 0.0, 1.0))


def frame_loss(outputs: tuple[Tensor, Tensor], words: Tensor, phones: Tensor) -> Tensor:
    """Cross-entropy on words plus, where phone times are known, half of that on phones."""
    loss = functional.cross_entropy(
        outputs[0].flatten(0, 1).float(), words.flatten(), label_smoothing=0.05
    )
    if (phones != IGNORED).any():
        loss = loss + 0.5 * functional.cross_entropy(
            outputs[1].flatten(0, 1).float(), phones.flatten(), ignore_index=IGNORED
        )
    return loss


@torch.no_grad()
def frame_wer(model: nn.Module, sampler: StreamSampler) -> float:
    """WER of the best sentences of the grammar on the clean clips of the first corpus."""
    import jiwer

    model.eval()
    corpus = sampler.corpora[0]
    hypotheses = []
    for start in range(0, len(corpus), 50):
        indices = range(start, min(start + 50, len(corpus)))
        inputs = sampler.clean_inputs(list(indices))
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs)[0]
        scores = logits.float().log_softmax(-1).numpy()
        hypotheses += [best_sentence(row) for row in scores]
    model.train()
    return float(jiwer.wer([line["text"] for line in corpus.lines], hypotheses))


def shares_at(step: int, steps: int, shares: list[float], first: int | None) -> list[float]:
    """Corpus probabilities; for the first fourth of the steps only corpus ``first``, if given."""
    if first is not None and step < 0.25 * steps:
        return [float(index == first) for index in range(len(shares))]
    return shares


def schedule(step: int, args: argparse.Namespace) -> tuple[float, float, list[float]]:
    """Learning rate, augmentation strength and corpus probabilities of a step.

    From ``--restart-at`` on, the learning rate starts anew, with full augmentation.
    """
    if step < args.restart_at:
        raise SystemExit(f"train {args.restart_at} steps before, then go on with --restart-at")
    if args.restart_at:
        length = args.steps - args.restart_at
        rate = learning_rate(step - args.restart_at, length, args.learning_rate)
        return rate, 1.0, args.shares
    rate = learning_rate(step, args.steps, args.learning_rate)
    strength = augmentation_strength(step, args.steps)
    return rate, strength, shares_at(step, args.steps, args.shares, args.first)


def load_noise(folder: str | None, babble: list[Corpus]) -> NoiseSource | None:
    """Babble of the given corpora and, where a folder of recordings is named, those."""
    if not babble:
        return None
    recordings = []
    if folder:
        from avsr_frontends.media import read_audio

        recordings = [read_audio(path) for path in sorted(Path(folder).glob("*.flac"))]
    return NoiseSource(babble, recordings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stream", choices=["audio", "video"])
    parser.add_argument("--corpora", nargs="+", required=True, help="prepared training corpora")
    parser.add_argument("--shares", nargs="+", type=float, required=True)
    parser.add_argument("--first", type=int, help="corpus to begin with, alone")
    parser.add_argument("--dev", nargs="+", required=True, help="prepared development corpora")
    parser.add_argument("--babble", nargs="*", default=[], help="corpora whose voices are noise")
    parser.add_argument("--noise", help="folder of noise recordings")
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument(
        "--restart-at", type=int, default=0, help="go on from this step with a fresh schedule"
    )
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    corpora = [load_corpus(folder) for folder in args.corpora]
    lines = [line for corpus in corpora for line in corpus.lines]
    phones = phone_inventory(lines, Path(args.out) / "phones.json")
    noise = None
    if args.stream == "audio":
        noise = load_noise(args.noise, [load_corpus(folder) for folder in args.babble])
    sampler = StreamSampler(args.stream, corpora, phones, noise, args.seed)
    dev = [StreamSampler(args.stream, [load_corpus(d)], phones, None, 0) for d in args.dev]

    model = FrameClassifier(args.stream, len(phones))
    average = FrameClassifier(args.stream, len(phones))
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    state = TrainingState(model, average, optimizer, Path(args.out))
    state.resume()
    began, first_step, losses = time.time(), state.step, []
    while state.step < args.steps:
        step = state.step
        rate, strength, shares = schedule(step, args)
        batch = sampler.draw(step, args.batch_size, shares, strength)
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            outputs = model(batch.inputs)
        loss = frame_loss(outputs, batch.words, batch.phones)
        state.apply(loss, [rate], EMA_DECAY)
        losses.append(loss.item())
        if state.step % CHECKPOINT_EVERY == 0 or state.step == args.steps:
            speed = (state.step - first_step) / (time.time() - began)
            line = {
                "step": state.step,
                "loss": round(float(np.mean(losses)), 4),
                "dev_wer": [round(frame_wer(average, each), 4) for each in dev],
                "left_s": round((args.steps - state.step) / speed),
            }
            losses = []
            state.save(line)


if __name__ == "__main__":
    main()

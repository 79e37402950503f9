"""Projectors of sound or lips by CTC into the language model's own embeddings, without that model.

    python recipes/english/train_ctc.py --features DIR... --dev FILE... --language-model DIR ...

A token of sound should lie where the language model keeps the word piece that is said: its scores
are cosines to the embeddings of all pieces that the texts use, and to a learned blank. Every step
trains the projector of the finer rate by CTC. That of rate 16 is pulled along: its token should be
the mean of the four embeddings that the finer one expects (CTC itself needs more steps than rate 16
has); that of lips at rate 5 learns by CTC too.
New shards are taken up as they appear. Stops and resumes anywhere.
"""

import argparse
import json
from pathlib import Path

import jiwer
import numpy as np
import torch
from pieces import Speller
from safetensors.torch import load_file, save_file
from shards import SPOILT, Shard, read_shard, weighted_folders
from timed_training import TimedTraining
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer

from avsr.decoding.ctc_scores import greedy_units
from avsr.model_parts.tied_ctc import TiedCtc
from avsr.route import Stream
from avsr_adapters import RateProjector, stack_frames

RATES: dict[Stream, tuple[int, int]] = {"audio": (4, 16), "video": (2, 5)}
HIDDEN = 768
BATCH_FRAMES, MAX_FRAMES = 8000, 700  # encoder frames of a batch, of a clip
MOST_SHARDS = 24  # in memory, 130 MB each


class Trainee(nn.Module):
    """Projectors and tied CTC; ``forward`` gives the loss of a batch."""

    def __init__(
        self, embeddings: Tensor, pieces: Tensor, rates: tuple[int, int], width: int
    ) -> None:
        super().__init__()
        self.rates, size = rates, embeddings.shape[1]
        sizes = [width * rate for rate in rates]
        self.projector = RateProjector(
            rates, sizes, HIDDEN, size, activation="gelu", layer_norm=True
        )
        spread = float(embeddings.std())
        for projector in self.projector.projectors.values():
            projector.get_submodule("3").get_parameter("weight").data.fill_(spread)
        self.register_buffer("pieces", embeddings[pieces], persistent=False)
        self.ctc = TiedCtc(size)

    def scores(self, tokens: Tensor) -> Tensor:
        """[B, S, P + 1] of projected tokens, the blank last."""
        return self.ctc(tokens, self.get_buffer("pieces"))

    def forward(
        self, features: Tensor, lengths: Tensor, targets: list[Tensor]
    ) -> dict[str, Tensor]:
        fine, n_fine = self._tokens(features, lengths, self.rates[0])
        coarse, n_coarse = self._tokens(features, lengths, self.rates[1])
        ctc = self._ctc(fine, n_fine, targets)
        ratio = self.rates[1] // self.rates[0]
        if self.rates[1] % self.rates[0]:  # fine enough for CTC of its own
            pull = self._ctc(coarse, n_coarse, targets)
        else:
            n = coarse.shape[1]
            wanted = fine.detach()[:, : n * ratio].float().unflatten(1, (-1, ratio)).mean(2)
            real = torch.arange(n) < n_coarse[:, None]
            likeness = functional.cosine_similarity(coarse.float(), wanted[:, :n], dim=-1)
            pull = 1 - likeness[real].mean()
        return {"loss": ctc + pull, "ctc": ctc.detach(), "pull": pull.detach()}

    def _tokens(self, features: Tensor, lengths: Tensor, rate: int) -> tuple[Tensor, Tensor]:
        stacked, n_tokens = stack_frames(features, rate, lengths)
        return self.projector(stacked, rate), n_tokens

    def _ctc(self, tokens: Tensor, lengths: Tensor, targets: list[Tensor]) -> Tensor:
        scores = self.scores(tokens)
        total = functional.ctc_loss(
            scores.float().log_softmax(-1).transpose(0, 1),
            torch.cat(targets),
            lengths,
            torch.tensor([len(target) for target in targets]),
            blank=scores.shape[-1] - 1,
            reduction="sum",
            zero_infinity=True,
        )
        return total / sum(map(len, targets))


def readable(folder: Path) -> list[Path]:
    """Shards of clips that can be read by their stream alone."""
    return [file for file in sorted(folder.glob("*.npz")) if SPOILT not in file.name]


class Batches:
    """Random batches of clips of like lengths, out of shards that may still be growing in number.

    Args:
        folders: of feature shards; a folder given as ``DIR=WEIGHT`` is drawn by that weight.
        encode: text to rows of the score matrix.
        seed: of what is drawn.
        finest: frames of a token: texts that have more rows than tokens are passed over.
    """

    def __init__(self, folders: list[str], encode, seed: int, finest: int) -> None:
        self.finest = finest
        self.folders = weighted_folders(folders)
        self.encode, self.rng = encode, np.random.default_rng(seed)
        self.loaded: dict[Path, tuple[Shard, list]] = {}

    def draw(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        found = [(readable(folder), weight) for folder, weight in self.folders]
        present = [(files, weight) for files, weight in found if files]
        weights = np.array([weight for _, weight in present])
        files, _ = present[self.rng.choice(len(present), p=weights / weights.sum())]
        shard, targets = self._load(self._choose(files))
        rows = [
            i for i, v in enumerate(shard.values)
            if len(v) <= MAX_FRAMES and 0 < len(targets[i]) * self.finest <= len(v)
        ]  # fmt: skip
        chosen = sorted(self.rng.permutation(rows)[:64], key=lambda i: len(shard.values[i]))
        longest = max(len(shard.values[i]) for i in chosen)
        size = max(4, BATCH_FRAMES // longest)
        start = int(self.rng.integers(max(1, len(chosen) - size + 1)))
        chosen = chosen[start : start + size]
        values = [torch.from_numpy(shard.values[i]).float() for i in chosen]
        lengths = torch.tensor([len(v) for v in values])
        features = nn.utils.rnn.pad_sequence(values, batch_first=True)
        return features, lengths, [targets[i] for i in chosen]

    def _choose(self, files: list[Path]) -> Path:
        """Mostly a shard that is in memory, else another one in place of one of these."""
        present = [file for file in files if file in self.loaded]
        full = len(self.loaded) >= MOST_SHARDS
        if present and full and self.rng.random() < 0.9:
            return present[self.rng.integers(len(present))]
        return files[self.rng.integers(len(files))]

    def _load(self, file: Path) -> tuple[Shard, list]:
        if file not in self.loaded:
            if len(self.loaded) >= MOST_SHARDS:
                del self.loaded[list(self.loaded)[self.rng.integers(len(self.loaded))]]
            shard = read_shard(file)
            self.loaded[file] = shard, [torch.tensor(self.encode(text)) for text in shard.texts]
        return self.loaded[file]


def mask_times(features: Tensor, lengths: Tensor, rng: np.random.Generator) -> None:
    """Put SpecAugment's two time masks on the encoder's output, in place."""
    for row, length in zip(features, lengths.tolist(), strict=True):
        for _ in range(2):
            width = int(rng.integers(0, 12))
            at = int(rng.integers(max(1, length - width)))
            row[at : at + width] = 0


@torch.inference_mode()
def dev_wer(model: Trainee, shard: Shard, speller: Speller) -> float:
    """WER of greedy CTC on a shard."""
    said = []
    for value in shard.values:
        stacked, _ = stack_frames(torch.from_numpy(value)[None].float(), model.rates[0])
        scores = model.scores(model.projector(stacked, model.rates[0]))[0]
        said.append(speller.decode(greedy_units(scores)))
    return float(jiwer.wer(shard.texts, said))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, nargs="+", help="DIR or DIR=WEIGHT")
    parser.add_argument("--stream", choices=list(RATES), default="audio")
    parser.add_argument("--dev", required=True, nargs="+", type=Path, help="feature shards")
    parser.add_argument("--language-model", required=True, type=Path)
    parser.add_argument("--pieces", required=True, type=Path, help="json: token ids that texts use")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(args.language_model)
    embeddings = load_file(args.language_model / "model.safetensors")["model.embed_tokens.weight"]
    pieces = json.loads(args.pieces.read_text())
    speller = Speller(tokenizer, pieces)
    dev = {file.stem: read_shard(file) for file in args.dev}
    width = next(iter(dev.values())).values[0].shape[1]
    rates = RATES[args.stream]
    model = Trainee(embeddings.float(), torch.tensor(pieces), rates, width)
    training = TimedTraining(
        model,
        args.out,
        hours=args.hours,
        peak=args.learning_rate,
        warmup_steps=300,
        average_decay=0.999,
        max_grad_norm=2.0,
        save_every_s=240,
    )
    batches = Batches(args.features, speller.encode, training.step, rates[0])
    log: list[dict[str, float]] = []
    while not training.is_over:
        features, lengths, targets = batches.draw()
        mask_times(features, lengths, batches.rng)
        with torch.autocast("cpu", torch.bfloat16):
            losses = model(features, lengths, targets)
        training.update(losses["loss"])
        log.append({name: float(value.detach()) for name, value in losses.items()})
        if training.is_due:
            with training.averaged():
                wers = {name: dev_wer(model, shard, speller) for name, shard in dev.items()}
            trained = {name: value.half() for name, value in training.average.items()}
            save_file(trained, args.out / "average.safetensors")
            means = {name: float(np.mean([each[name] for each in log])) for name in log[0]}
            training.save({name: round(value, 4) for name, value in {**means, **wers}.items()})
            log = []


if __name__ == "__main__":
    main()

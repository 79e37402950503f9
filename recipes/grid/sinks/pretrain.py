"""Pre-train a small language model in which sinks can arise, and watch them arise.

    python recipes/grid/sinks/pretrain.py --model POLISHED --out DIR --layers 4 --width 128

Two kinds of batches take turns: the toy language (``toy_language.py``), where every token is
predicted and most heads have nothing to say most of the time, and the task of grid-tiny's language
model, a sentence from pooled and doubtful word embeddings (``train_language_model.py``). The
embeddings are grid-tiny's, frozen, so that its projectors fit; a wider model gets them through a
fixed rotation. Started by ``run.py``, which puts ``recipes/grid`` on the path.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sink_counts import BatchSinks
from torch import Tensor
from torch.nn import functional
from toy_language import ToyLanguage
from train_encoder import learning_rate
from train_language_model import (
    BOS,
    PROMPTS,
    VOCABULARY,
    SentenceSampler,
    prefix_embeddings,
    train_tokenizer,
)
from training_state import TrainingState
from transformers import LlamaConfig, LlamaForCausalLM

from avsr import AvsrForConditionalGeneration

RATES = {"audio": (4, 16, 32), "video": (2, 5, 10)}
FIRST_PIECE = 3  # after unknown, BOS and EOS
HEAD_SIZE = 32
TEXT_LENGTH = 64
MEASURED = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2000, 2500, 3000)  # steps
AVERAGE_DECAY = 0.99  # a run is short: the average must forget its beginning
HELD_OUT = 10**7  # first step of data that training never sees


def build_language_model(layers: int, width: int, embeddings: Tensor) -> LlamaForCausalLM:
    """A fresh Llama around frozen embeddings [V, 128], rotated into ``width`` dimensions."""
    config = LlamaConfig(
        vocab_size=len(embeddings),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD_SIZE,
        num_key_value_heads=max(1, width // HEAD_SIZE // 2),
        head_dim=HEAD_SIZE,
        max_position_embeddings=1024,
        bos_token_id=BOS,
        eos_token_id=2,
        pad_token_id=VOCABULARY,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    table = model.get_input_embeddings().get_parameter("weight")
    table.requires_grad_(False)
    table.copy_(embeddings @ rotation(embeddings.shape[1], width))
    return model


def rotation(narrow: int, wide: int) -> Tensor:
    """[narrow, wide] with orthonormal rows (columns, where ``wide`` is the smaller)."""
    if narrow == wide:
        return torch.eye(narrow)
    noise = torch.randn(max(narrow, wide), min(narrow, wide), generator=_generator(0))
    basis = torch.linalg.qr(noise).Q
    return basis.T if wide >= narrow else basis


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Tasks:
    """The two kinds of batches, as embeddings and targets."""

    def __init__(self, tokenizer_file: Path, seed: int, with_bos: bool) -> None:
        tokenizer = train_tokenizer(tokenizer_file)
        self._prompts = {name: tokenizer.encode(text) for name, text in PROMPTS.items()}
        self._sentences = SentenceSampler(tokenizer, seed, RATES)
        self._language = ToyLanguage(FIRST_PIECE, VOCABULARY, seed)
        self._with_bos = with_bos

    def text(self, model: LlamaForCausalLM, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Toy language: embeddings [B, S, D] and the next tokens [B, S]."""
        tokens = self._language.draw(step, size, TEXT_LENGTH + 1)
        if self._with_bos:
            tokens = functional.pad(tokens, (1, 0), value=BOS)
        return model.get_input_embeddings()(tokens[:, :-1]), tokens[:, 1:]

    def speech(self, model: LlamaForCausalLM, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Sentences from pooled embeddings: the prefix with the text, and the text [B, 7]."""
        modality, weights, targets = self._sentences.draw(step, size)
        prefix = prefix_embeddings(model, modality, weights, self._prompts, _generator(step))
        if not self._with_bos:
            prefix = prefix[:, 1:]
        text = model.get_input_embeddings()(targets[:, :-1])
        return torch.cat([prefix, text], dim=1), targets


@torch.no_grad()
def measure(model: LlamaForCausalLM, tasks: Tasks, with_speech: bool) -> dict[str, float]:
    """Loss and sinks on held-out data of both kinds."""
    model.eval()
    line: dict[str, float] = {}
    for kind in ("text", "speech") if with_speech else ("text",):
        embeds, targets = getattr(tasks, kind)(model, HELD_OUT, 32)
        logits = model(inputs_embeds=embeds).logits[:, -targets.shape[1] :]
        line[f"loss_{kind}"] = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten()
        ).item()
        line |= {f"{k}_{kind}": v for k, v in _sinks(model, embeds).items()}
    model.train()
    return {name: round(value, 4) for name, value in line.items()}


def _sinks(model: LlamaForCausalLM, embeds: Tensor) -> dict[str, float]:
    return BatchSinks(model, lambda: model(inputs_embeds=embeds, use_cache=False)).describe()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="polished grid-tiny: its embeddings")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--text-share", type=float, default=0.5, help="of the batches")
    parser.add_argument("--no-bos", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if (args.out / "language_model" / "config.json").exists():
        return
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    source = AvsrForConditionalGeneration.from_pretrained(args.model)
    embeddings = source.get_input_embeddings().get_parameter("weight").detach()
    tasks = Tasks(args.out / "tokenizer.model", args.seed, not args.no_bos)
    model, average = (build_language_model(args.layers, args.width, embeddings) for _ in range(2))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.05)
    state = TrainingState(model, average, optimizer, args.out)
    state.resume()
    with_speech = args.text_share < 1
    if state.step == 0:
        state.save({"step": 0} | measure(model, tasks, with_speech))
    losses: list[float] = []
    while state.step < args.steps:
        turn = np.floor((state.step + 1) * args.text_share) > np.floor(state.step * args.text_share)
        draw = tasks.text if turn else tasks.speech
        embeds, targets = draw(model, state.step, args.batch_size)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs_embeds=embeds).logits[:, -targets.shape[1] :].float()
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        state.apply(
            loss, [learning_rate(state.step, args.steps, args.learning_rate)], AVERAGE_DECAY
        )
        losses.append(loss.item())
        if state.step in MEASURED or state.step == args.steps:
            line = {"step": state.step, "loss": round(float(np.mean(losses)), 4)}
            state.save(line | measure(model, tasks, with_speech))
            losses = []
    (args.out / "settings.json").write_text(json.dumps(vars(args), default=str, indent=1))
    average.save_pretrained(args.out / "language_model")


if __name__ == "__main__":
    main()

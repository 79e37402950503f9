"""Train the tokenizer and the small language model of grid-tiny, before it hears anything.

    python recipes/grid/train_language_model.py --out DIR --steps 2500

The tokenizer is SentencePiece (BPE) on sentences of the grammar and on the prompts. The language
model learns to write a sentence from what a projector will one day show it: word embeddings
spread over the time the words last, averaged in groups of the compression rate, with noise and
with words that could be mistaken for others. (Learning from plain text instead left the model
worse at this after the same adaptation; see README.md.)
"""

import argparse
import io
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from corpus import GRAMMAR
from torch import Tensor
from train_encoder import EMA_DECAY, learning_rate
from training_state import TrainingState
from transformers import LlamaConfig, LlamaForCausalLM

PROMPTS = {
    "audio": "transcribe speech to text",
    "video": "transcribe video to text",
    "av": "transcribe speech and video to text",
}
ADDED_TOKENS = ("<pad>", "<audio>", "</audio>", "<video>", "</video>")
VOCABULARY = 148  # every word of the grammar and of the prompts is one piece
BOS, EOS = 1, 2
RATES = {"audio": (4, 16), "video": (2, 5)}
FRAMES_PER_SECOND = {"audio": 50, "video": 25}
CHECKPOINT_EVERY = 250


def random_sentence(generator: np.random.Generator) -> list[str]:
    return [slot[generator.integers(len(slot))] for slot in GRAMMAR]


def train_tokenizer(path: Path) -> sentencepiece.SentencePieceProcessor:
    """Write the SentencePiece model, the same at every run."""
    generator = np.random.default_rng(0)
    sentences = [" ".join(random_sentence(generator)) for _ in range(20_000)]
    sentences += [prompt for prompt in PROMPTS.values() for _ in range(2_000)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=VOCABULARY,
        model_type="bpe",
        character_coverage=1.0,
        unk_id=0,
        bos_id=BOS,
        eos_id=EOS,
        minloglevel=2,
        num_threads=1,
    )
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def language_model_config() -> LlamaConfig:
    """A Llama of 0.9 M parameters; the five added tokens follow the base vocabulary."""
    return LlamaConfig(
        vocab_size=VOCABULARY + len(ADDED_TOKENS),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=VOCABULARY,
        tie_word_embeddings=False,
    )


class SentenceSampler:
    """Draws sentences with the pooled, noisy word embeddings that stand for their sound."""

    def __init__(
        self,
        tokenizer: sentencepiece.SentencePieceProcessor,
        seed: int,
        rates: dict[str, tuple[int, ...]] = RATES,
    ) -> None:
        self.tokenizer = tokenizer
        self.seed = seed
        self.rates = rates
        self.piece = {word: tokenizer.encode(word) for slot in GRAMMAR for word in slot}
        longest = max(len(pieces) for pieces in self.piece.values())
        if longest > 1:
            raise ValueError(f"a word of the grammar has {longest} pieces; raise VOCABULARY")

    def draw(self, step: int, size: int) -> tuple[str, dict[str, Tensor], Tensor]:
        """A batch of one task and rate pair.

        Returns:
            The modality; for each of its streams the weights [B, S, V] of the word pieces in each
            compressed token; the target pieces [B, 7] with EOS.
        """
        generator = np.random.default_rng((self.seed, step))
        modality = ("audio", "video", "av")[generator.integers(3)]
        streams = ("audio", "video") if modality == "av" else (modality,)
        rates = {s: self.rates[s][generator.integers(len(self.rates[s]))] for s in streams}
        sentences = [random_sentence(generator) for _ in range(size)]
        length_s = float(generator.uniform(2.5, 3.4))
        times = [self._word_times(generator, length_s) for _ in sentences]
        weights = {
            stream: torch.stack(
                [
                    self._pooled(sentence, time, stream, rates[stream], length_s, generator)
                    for sentence, time in zip(sentences, times, strict=True)
                ]
            )
            for stream in streams
        }
        targets = [[*self.tokenizer.encode(" ".join(words)), EOS] for words in sentences]
        return modality, weights, torch.tensor(targets)

    def _word_times(self, generator: np.random.Generator, length_s: float) -> np.ndarray:
        """Seven boundaries of six words."""
        typical = np.array([0.22, 0.22, 0.14, 0.16, 0.25, 0.4])
        durations = typical * np.exp(generator.normal(0, 0.25, 6)) * generator.uniform(0.85, 1.4)
        start = generator.uniform(0.05, max(0.1, length_s - durations.sum() - 0.05))
        return start + np.concatenate([[0], np.cumsum(durations)])

    def _pooled(
        self,
        words: list[str],
        times: np.ndarray,
        stream: str,
        rate: int,
        length_s: float,
        generator: np.random.Generator,
    ) -> Tensor:
        per_second = FRAMES_PER_SECOND[stream]
        frames = np.zeros((round(length_s * per_second), VOCABULARY), dtype=np.float32)
        jitter = generator.normal(0, 0.02, len(times))
        for slot, word in enumerate(words):
            first, last = ((times[slot : slot + 2] + jitter[slot : slot + 2]) * per_second).round()
            first, last = max(0, int(first)), max(int(first) + 1, int(last))
            belief = np.zeros(VOCABULARY, dtype=np.float32)
            belief[self.piece[word]] = 1.0
            if generator.random() < 0.3:  # an uncertain recogniser
                rival = GRAMMAR[slot][generator.integers(len(GRAMMAR[slot]))]
                doubt = generator.uniform(0, 0.45)
                belief *= 1 - doubt
                belief[self.piece[rival]] += doubt
            frames[first:last] = belief
        frames[generator.random(len(frames)) < generator.uniform(0, 0.3)] = 0
        n_tokens = len(frames) // rate
        return torch.from_numpy(frames[: n_tokens * rate].reshape(n_tokens, rate, -1).mean(axis=1))


def prefix_embeddings(
    model: LlamaForCausalLM,
    modality: str,
    weights: dict[str, Tensor],
    prompts: dict[str, list[int]],
    generator: torch.Generator,
) -> Tensor:
    """BOS, marked streams and prompt as embeddings [B, S, D], in the published order."""
    table = model.get_input_embeddings().get_parameter("weight")
    size = len(next(iter(weights.values())))
    marker = {name: VOCABULARY + index for index, name in enumerate(ADDED_TOKENS)}

    def tokens(*ids: int) -> Tensor:
        return table[torch.tensor(ids)].expand(size, -1, -1)

    parts = [tokens(BOS)]
    for stream, weight in weights.items():
        shown = weight @ table[:VOCABULARY]
        noise = torch.randn(shown.shape, generator=generator)
        scale = shown.detach().std() * 0.5
        parts += [
            tokens(marker[f"<{stream}>"]),
            shown + noise * scale,
            tokens(marker[f"</{stream}>"]),
        ]
    parts.append(tokens(*prompts[modality]))
    return torch.cat(parts, dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(out / "tokenizer.model")
    prompts = {name: tokenizer.encode(text) for name, text in PROMPTS.items()}
    sampler = SentenceSampler(tokenizer, args.seed)
    model, average = (LlamaForCausalLM(language_model_config()) for _ in range(2))
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    state = TrainingState(model, average, optimizer, out)
    state.resume()
    losses: list[float] = []
    correct: list[float] = []
    while state.step < args.steps:
        modality, weights, targets = sampler.draw(state.step, args.batch_size)
        noise = torch.Generator().manual_seed(state.step)
        prefix = prefix_embeddings(model, modality, weights, prompts, noise)
        shown = torch.cat([prefix, model.get_input_embeddings()(targets[:, :-1])], dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs_embeds=shown).logits[:, prefix.shape[1] - 1 :].float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        state.apply(loss, [learning_rate(state.step, args.steps, args.learning_rate)], EMA_DECAY)
        losses.append(loss.item())
        correct.append((logits.argmax(-1) == targets).float().mean().item())
        if state.step % CHECKPOINT_EVERY == 0 or state.step == args.steps:
            line = {
                "step": state.step,
                "loss": round(float(np.mean(losses)), 4),
                "token_accuracy": round(float(np.mean(correct)), 4),
            }
            losses, correct = [], []
            state.save(line)
    average.save_pretrained(out / "language_model")


if __name__ == "__main__":
    main()

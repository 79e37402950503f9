"""The whole miniature: build it from its trained parts, its training losses, its dev WER."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import jiwer
import numpy as np
import torch
from corpus import WORDS, interval_labels
from encoders import audio_encoder_config, video_encoder_config
from pairs import PairBatch, PairSampler
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from train_language_model import PROMPTS, language_model_config
from transformers import LlamaForCausalLM

from avsr import AvsrConfig, AvsrForConditionalGeneration, AvsrProcessor, EncodedStreams, Route
from avsr.tokenizer import add_model_tokens, load_sentencepiece, plain_ids
from avsr.training.ctc_loss import head_losses
from avsr_adapters import average_frames

AUDIO_RATES, VIDEO_RATES = (4, 16), (2, 5)
TASK_WEIGHTS = {"audio": 1.0, "video": 1.5, "av": 1.0}  # Omni-AVSR's
MISMATCHED_SHARE = 0.2  # of audio-visual clips: the lips of somebody else
CTC_WEIGHT = 3.0
UNSPOKEN = -8.0  # first score of tokens that are no word of the grammar
DECORRELATION_WEIGHT = 0.1
ROUTES = tuple(map(Route.parse, ("A4", "A16", "V2", "V5", "A4 V2", "A4 V5", "A16 V2", "A16 V5")))


def build_model(
    language_model_dir: Path, audio_dir: Path, video_dir: Path
) -> tuple[AvsrForConditionalGeneration, AvsrProcessor]:
    """Join the trained encoders and language model with fresh projectors, LoRA and CTC heads."""
    tokenizer = load_sentencepiece(language_model_dir / "tokenizer.model")
    token_ids = add_model_tokens(tokenizer)
    config = AvsrConfig(
        audio_config=audio_encoder_config(),
        video_config=video_encoder_config(),
        text_config=language_model_config(),
        audio_rates=list(AUDIO_RATES),
        video_rates=list(VIDEO_RATES),
        projector_hidden_size=256,
        lora_strategy="shared",
        lora_rank=16,
        lora_scaling=1.0,
        lora_target_modules=None,
        prompts=PROMPTS,
        prompt_ids={name: plain_ids(tokenizer, text) for name, text in PROMPTS.items()},
        audio_ctc=True,
        video_ctc=True,
        **cast(dict[str, Any], token_ids),
    )
    model = AvsrForConditionalGeneration(config)
    # These two were chosen on s1_dev and syn_av_dev, clean and in babble.
    model.generation_config.num_beams = 8
    model.generation_config.ctc_weight = 0.5  # pyright: ignore[reportAttributeAccessIssue]
    base = LlamaForCausalLM.from_pretrained(language_model_dir / "language_model").state_dict()
    load_base_weights(model.language_model, base)
    for stream, folder in (("audio", audio_dir), ("video", video_dir)):
        trained = torch.load(folder / "checkpoint.pt", weights_only=True)["average"]
        prefix = "encoder."
        encoder = {k[len(prefix) :]: v for k, v in trained.items() if k.startswith(prefix)}
        model.get_submodule(f"{stream}_encoder").load_state_dict(encoder)
        head = model.get_submodule(f"{stream}_ctc_head")
        pieces = [plain_ids(tokenizer, word)[0] for word in WORDS[1:]]
        begin_ctc_head(head, trained["word_head.weight"], trained["word_head.bias"], pieces)
    return model, AvsrProcessor.from_config(config, tokenizer)


@torch.no_grad()
def begin_ctc_head(head: torch.nn.Module, weight: Tensor, bias: Tensor, pieces: list[int]) -> None:
    """Start a CTC head as the encoder's frame classifier: silence is the blank, a word its piece.

    Args:
        head: linear, W features to V + 1 scores, the blank last.
        weight: [52, W] of the classifier; row 0 is silence.
        bias: [52].
        pieces: the token of each of the other rows.
    """
    rows = [head.get_parameter("weight").shape[0] - 1, *pieces]
    head.get_parameter("weight").zero_()[rows] = weight
    head.get_parameter("bias").fill_(UNSPOKEN)[rows] = bias


def load_base_weights(language_model: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    """Load plain Llama weights into a model whose linear layers peft has wrapped."""
    own = language_model.state_dict()
    renamed = {name.replace(".base_layer.", "."): name for name in own if ".lora_" not in name}
    missing = set(renamed) ^ set(weights)
    if missing:
        raise ValueError(f"language model weights differ in {sorted(missing)[:3]}")
    language_model.load_state_dict({renamed[k]: v for k, v in weights.items()}, strict=False)


def encode(model: AvsrForConditionalGeneration, batch: PairBatch) -> EncodedStreams:
    """Sound and lips of a batch after their encoders."""
    return model.encode(input_features=batch.mels, video_values=batch.pictures)


def text_labels(processor: AvsrProcessor, texts: list[str]) -> Tensor:
    """Token ids with EOS, [B, L], -100 for padding."""
    end = processor.tokenizer.eos_token_id
    rows = [torch.tensor([*plain_ids(processor.tokenizer, text), end]) for text in texts]
    return pad_sequence(rows, batch_first=True, padding_value=-100)


def both_ctc_losses(
    model: AvsrForConditionalGeneration, streams: EncodedStreams, labels: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Mean CTC loss of the two encoders' heads, and each for the log."""
    losses = head_losses(model, streams, labels)
    mean = torch.stack(list(losses.values())).mean()
    return mean, {name: loss.item() for name, loss in losses.items()}


def training_loss(
    model: AvsrForConditionalGeneration,
    streams: EncodedStreams,
    labels: Tensor,
    generator: np.random.Generator,
) -> tuple[Tensor, dict[str, float]]:
    """One sampled rate pair, three tasks (Omni-AVSR), plus CTC on both encoders.

    Args:
        model: the model, in training mode.
        streams: sound and lips of the clips.
        labels: [B, L].
        generator: chooses the rates and the mismatched pairs.

    Returns:
        The loss and its parts for the log.
    """
    audio_rate = int(generator.choice(AUDIO_RATES))
    video_rate = int(generator.choice(VIDEO_RATES))
    n_mismatched = round(len(labels) * MISMATCHED_SHARE)
    order = np.arange(len(labels))
    chosen = generator.permutation(len(labels))[:n_mismatched]
    order[chosen] = np.roll(chosen, 1)
    mismatched = EncodedStreams(audio=streams.audio, video=streams.rows(order.tolist()).video)
    total, parts = torch.zeros(()), {}
    for modality, weight in TASK_WEIGHTS.items():
        output = model(
            streams=mismatched if modality == "av" else streams,
            modality=modality,
            audio_rate=audio_rate,
            video_rate=video_rate,
            labels=labels,
            decorrelation_layers="paper",
            logits_to_keep=labels.shape[1] + 1,
        )
        loss = output.loss + DECORRELATION_WEIGHT * output.decorrelation_loss
        total = total + weight * loss / 3
        parts[modality] = output.loss.item()
        parts[f"cos_{modality}"] = output.decorrelation_loss.item()
    ctc, ctc_parts = both_ctc_losses(model, streams, labels)
    return total + CTC_WEIGHT * ctc, parts | ctc_parts


def alignment_loss(
    model: AvsrForConditionalGeneration,
    processor: AvsrProcessor,
    streams: EncodedStreams,
    timings: list[list[tuple[str, float, float]]],
) -> Tensor:
    """How far projected tokens are from what the language model was prepared to read.

    Its prefix in pre-training was word embeddings averaged over the frames of a token
    (``train_language_model.py``); the word times say what those are for real clips. Trained on
    this, a projector speaks the language model's language before the two ever meet; without it,
    letters stayed unlearned for hundreds of steps.

    Args:
        model: the model.
        processor: for the words' pieces.
        streams: sound and lips of the clips.
        timings: words of each clip with start and end in seconds.

    Returns:
        Mean squared error over both streams and all rates, relative to the embeddings' power.
    """
    table = model.get_input_embeddings().get_parameter("weight").detach()
    pieces = {word: plain_ids(processor.tokenizer, word)[0] for w in timings for word, _, _ in w}
    power = table[list(pieces.values())].square().mean()
    losses = []
    for encoded in streams.present:
        n_frames = encoded.features.shape[1]
        labels = [
            interval_labels(
                [(pieces[word], start, end) for word, start, end in words],
                encoded.fps,
                n_frames / encoded.fps,
            )
            for words in timings
        ]
        said = torch.from_numpy(np.stack(labels))
        shown = table[said] * (said > 0)[..., None]
        projector = getattr(model, f"{encoded.stream}_projector")
        for rate in model.config.rates(encoded.stream):
            target, _ = average_frames(shown, rate)
            tokens = projector(average_frames(encoded.features, rate)[0], rate)
            losses.append(functional.mse_loss(tokens.float(), target) / power)
    return torch.stack(losses).mean()


@torch.no_grad()
def dev_wer(
    model: AvsrForConditionalGeneration,
    processor: AvsrProcessor,
    sampler: PairSampler,
    routes: Sequence[Route] = ROUTES,
) -> dict[str, float]:
    """Greedy WER of the clean clips of the sampler's first corpus, by each route."""
    was_training = model.training
    model.eval()
    hypotheses: dict[str, list[str]] = {}
    references: list[str] = []
    for start in range(0, len(sampler.corpora[0]), 50):
        indices = range(start, min(start + 50, len(sampler.corpora[0])))
        batch = sampler.clean(list(indices))
        references += batch.texts
        streams = encode(model, batch)
        for route in routes:
            ids = model.generate(streams=streams, route=route, num_beams=1, max_new_tokens=10)
            name = "_".join([route.modality, *(text[1:] for text in route.text.split())])
            hypotheses.setdefault(name, []).extend(processor.batch_decode(ids))
    model.train(was_training)
    return {n: round(float(jiwer.wer(references, texts)), 4) for n, texts in hypotheses.items()}

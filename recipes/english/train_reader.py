"""Projectors and LoRA through the frozen language model, on cached features of sound and lips.

    python recipes/english/train_reader.py --base DIR --projectors FILE --sound DIR... --dev DIR ...

Every step draws a task, a folder, rates, and for each clip whether a draft stands in the prompt: its
own, somebody else's, or none. Stops and resumes anywhere; the model folder is ``OUT/model``.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from pieces import Speller
from reader_data import Batch, Source
from safetensors.torch import load_file
from tied import TiedCtc, greedy_pieces
from timed_training import TimedTraining
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from avsr import AvsrForConditionalGeneration, AvsrProcessor
from avsr.model_files.base_models import configure, load_base_models
from avsr.model_parts.prefix import shorten
from avsr.route import Modality, Route
from avsr.tokenizer import plain_ids

AUDIO_RATES, VIDEO_RATES = (4, 16), (2, 5)
COARSE_SHARE = 0.3
TASK_SHARES: dict[Modality, float] = {"audio": 0.45, "av": 0.4, "video": 0.15}
CTC_WEIGHT = 0.3
DEV_CLIPS = 64


class Reader(nn.Module):
    """A model with its processor, on batches of features, and tied CTC of both streams."""

    def __init__(
        self, model: AvsrForConditionalGeneration, processor: AvsrProcessor, pieces: list[int]
    ) -> None:
        super().__init__()
        self.model, self.processor = model, processor
        self.speller = Speller(processor.tokenizer, pieces)
        embeddings = model.get_input_embeddings().weight.detach()
        self.tied = nn.ModuleDict(
            {name: TiedCtc(embeddings, torch.tensor(pieces)) for name in ("audio", "video")}
        )

    def loss(self, batch: Batch, route: Route) -> dict[str, Tensor]:
        """Mean cross-entropy of the texts, and CTC of the finest tokens by the number of pieces."""
        end = self.model.config.eos_token_id
        rows = [torch.tensor([*self._ids(text), end]) for text in batch.texts]
        labels = pad_sequence(rows, batch_first=True, padding_value=-100)
        keep = labels.shape[1] + 1
        inputs = self._inputs(batch, route)
        losses = {"text": self.model(labels=labels, logits_to_keep=keep, **inputs).loss}
        targets = [torch.tensor(self.speller.encode(text)) for text in batch.texts]
        for encoded in batch.streams.present:
            if route.modality == "av" and encoded.stream == "video":
                continue  # some of these lips are somebody else's
            head, fine = self._fine(encoded)
            losses[f"ctc_{encoded.stream}"] = functional.ctc_loss(
                head(fine.embeds).float().log_softmax(-1).transpose(0, 1),
                torch.cat(targets),
                fine.lengths,
                torch.tensor([len(target) for target in targets]),
                blank=head.blank,
                reduction="sum",
                zero_infinity=True,
            ) / sum(map(len, targets))
        return losses

    @torch.inference_mode()
    def wer(self, batches: list[Batch], route: Route) -> float:
        """WER of greedy search."""
        said: list[str] = []
        for batch in batches:
            ids = self.model.generate(
                **self._inputs(batch, route), num_beams=1, max_new_tokens=60
            )
            said += [" ".join(text.lower().split()) for text in self.processor.batch_decode(ids)]
        return float(jiwer.wer([text for batch in batches for text in batch.texts], said))

    @torch.inference_mode()
    def ctc_wer(self, batches: list[Batch]) -> float:
        """WER of greedy CTC on the finest tokens of the batches' stream."""
        said: list[str] = []
        for batch in batches:
            (encoded,) = batch.streams.present
            head, fine = self._fine(encoded)
            scores, lengths = head(fine.embeds.float()), fine.lengths
            assert lengths is not None
            said += [
                self.speller.decode(greedy_pieces(row[: int(n)], head.blank))
                for row, n in zip(scores, lengths, strict=True)
            ]
        return float(jiwer.wer([text for batch in batches for text in batch.texts], said))

    def _fine(self, encoded: Any) -> tuple[Any, Any]:
        rate = AUDIO_RATES[0] if encoded.stream == "audio" else VIDEO_RATES[0]
        return self.tied[encoded.stream], shorten(self.model, encoded, rate)

    def _inputs(self, batch: Batch, route: Route) -> dict[str, Any]:
        drafts = [None if draft is None else self._ids(draft) for draft in batch.drafts]
        none = all(draft is None for draft in drafts)
        return {"streams": batch.streams, "route": route, "drafts": None if none else drafts}

    def _ids(self, text: str) -> list[int]:
        return plain_ids(self.processor.tokenizer, f" {text}")


def build(base: Path, projectors: Path, pieces: list[int], lips: Path | None) -> Reader:
    """The English model around its base models, projectors of sound as CTC left them."""
    config, processor = configure(
        base / "smollm2-135m-instruct",
        base / "whisper-tiny.en",
        lips,
        audio_rates=AUDIO_RATES,
        video_rates=VIDEO_RATES,
        compression="stack",
        projector_hidden_size=768,
        projector_activation="gelu",
        audio_projector_layer_norm=True,
        video_projector_layer_norm=True,
        lora_rank=16,
        lora_scaling=1.0,
        lora_target_modules=None,
        bos_token_id=1,  # <|im_start|>: what the language model's texts begin with
        draft="encoder_decoder",
    )
    model = AvsrForConditionalGeneration(config)
    load_base_models(model, dtype=torch.float32)
    reader = Reader(model, processor, pieces)
    stored = {name: value.float() for name, value in load_file(projectors).items()}
    start = {n.removeprefix("projector."): v for n, v in stored.items() if n.startswith("proj")}
    model.get_submodule("audio_projector").load_state_dict(start)
    spread = model.get_input_embeddings().weight.std()
    for name, projector in (("audio", None), ("video", model.video_projector)):
        head = reader.tied[name]
        for part in ("blank_vector", "scale"):
            head.get_parameter(part).data.copy_(stored[f"ctc.{part}"])
        if projector is not None:
            for each in projector.projectors.values():
                each.get_submodule("3").get_parameter("weight").data.fill_(spread)
    return reader


def draw_route(modality: Modality, rng: np.random.Generator) -> Route:
    """Rates of a step, mostly the finer ones."""
    audio, video = (int(rng.random() < COARSE_SHARE) for _ in range(2))
    return Route(
        modality=modality,
        audio_rate=AUDIO_RATES[audio] if modality != "video" else None,
        video_rate=VIDEO_RATES[video] if modality != "audio" else None,
    )


def measure(reader: Reader, dev: Source, films: Source | None, size: int) -> dict[str, float]:
    """WER on development clips."""
    found = {}
    routes = [Route(modality="audio", audio_rate=rate, video_rate=None) for rate in AUDIO_RATES]
    for drafted in (True, False):
        batches = dev.first(DEV_CLIPS, size, drafted, name="speechocean")
        for route in routes if drafted else routes[:1]:
            name = f"so_a{route.audio_rate}_{'draft' if drafted else 'none'}"
            found[name] = reader.wer(batches, route)
    found["so_ctc"] = reader.ctc_wer(dev.first(DEV_CLIPS, size, False, name="speechocean"))
    if films is None:
        return found
    both = Route(modality="av", audio_rate=AUDIO_RATES[0], video_rate=VIDEO_RATES[0])
    lips = Route(modality="video", audio_rate=None, video_rate=VIDEO_RATES[0])
    for name, n in (("s1dev_changed", 48), ("s31dev_changed", 10)):
        found[f"{name}_a"] = reader.wer(films.first(n, size, True, name=name), routes[0])
        found[f"{name}_av"] = reader.wer(films.first(n, size, True, "av", name), both)
        found[f"{name}_v"] = reader.wer(films.first(n, size, False, "video", name), lips)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, type=Path)
    parser.add_argument("--projectors", required=True, type=Path, help="of train_ctc.py")
    parser.add_argument("--pieces", required=True, type=Path, help="of pieces.py")
    parser.add_argument("--lips", type=Path, help="folder of an AV-HuBERT encoder")
    parser.add_argument("--sound", nargs="+", required=True, help="DIR or DIR=WEIGHT")
    parser.add_argument("--films", nargs=2, type=Path, help="features of sound, of lips")
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--dev-films", nargs=2, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--save-every", type=float, default=900.0, help="seconds")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    pieces = json.loads(args.pieces.read_text())
    reader = build(args.base, args.projectors, pieces, args.lips)
    training = TimedTraining(
        reader,
        args.out,
        hours=args.hours,
        peak=args.learning_rate,
        warmup_steps=50,
        average_decay=0.99,
        max_grad_norm=1.0,
        save_every_s=args.save_every,
    )
    parts = [each.partition("=") for each in args.sound]
    sources = [Source(Path(folder)) for folder, _, _ in parts]
    weights = np.array([float(weight or 1) for _, _, weight in parts])
    films = Source(*args.films) if args.films else None
    dev, dev_films = Source(args.dev), Source(*args.dev_films) if args.dev_films else None
    tasks = TASK_SHARES if films else {"audio": 1.0}
    log: dict[str, list[float]] = {}
    reader.train()
    while not training.is_over:
        rng = np.random.default_rng((training.step, 5))
        modality = list(tasks)[rng.choice(len(tasks), p=list(tasks.values()))]
        source = films
        if modality == "audio" or films is None:
            source = sources[rng.choice(len(sources), p=weights / weights.sum())]
        assert source is not None
        batch = source.draw(rng, args.batch_size, modality)
        losses = reader.loss(batch, draw_route(modality, rng))
        text = losses.pop("text")
        training.update(text + CTC_WEIGHT * sum(losses.values(), torch.zeros(())))
        for name, value in {f"{modality}_text": text, **losses}.items():
            log.setdefault(name, []).append(value.item())
        if training.step % 20 == 0:
            means = {name: round(float(np.mean(values[-20:])), 3) for name, values in log.items()}
            print(training.step, round(training.spent_s), means, flush=True)
        if training.is_due:
            line = {name: float(np.mean(values)) for name, values in log.items()}
            with training.averaged():
                reader.eval()
                line |= measure(reader, dev, dev_films, args.batch_size)
                reader.model.save_pretrained(args.out / "model", storage_dtype=torch.float16)
                reader.processor.save_pretrained(args.out / "model")
                reader.train()
            training.save({name: round(value, 4) for name, value in line.items()})
            log = {}


if __name__ == "__main__":
    main()

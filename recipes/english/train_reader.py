"""Projectors and LoRA through the frozen language model, on cached features of sound and lips.

    python recipes/english/train_reader.py --base DIR --projectors FILE --sound DIR... --dev DIR ...

Every step draws a task, a folder, rates, and for each clip whether a draft stands in the prompt:
its own, somebody else's, or none. Stops and resumes anywhere; the model folder is ``OUT/model``.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from reader_data import Batch, Source
from safetensors.torch import load_file
from shards import weighted_folders
from timed_training import TimedTraining
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from avsr import AvsrForConditionalGeneration, AvsrProcessor, EncodedStreams
from avsr.model_files.base_models import configure, load_base_models
from avsr.model_parts.ctc import ctc_scores
from avsr.route import Modality, Route, Stream
from avsr.tokenizer import plain_ids
from avsr.training.ctc_loss import CTC_LOSSES, head_losses

AUDIO_RATES, VIDEO_RATES = (4, 16), (2, 5)
COARSE_SHARE = 0.4
TASK_SHARES: dict[Modality, float] = {"audio": 0.68, "av": 0.22, "video": 0.1}
CTC_WEIGHT = 1.0  # of the loss per step of a head
DECORRELATION_WEIGHT = 0.1
DEV_CLIPS = 64
SEARCH = {  # the model's own, chosen by tune_search.py on development clips
    "num_beams": 4,
    "ctc_weight": 0.2,
    "ctc_weight_without_draft": 0.6,
    "ctc_texts": 4,
    "draft_margin": 1.5,
    "words_only": True,
}


class Reader:
    """A model with its processor, on batches of features."""

    def __init__(self, model: AvsrForConditionalGeneration, processor: AvsrProcessor) -> None:
        self.model, self.processor = model, processor

    def loss(self, batch: Batch, route: Route) -> dict[str, Tensor]:
        """Mean cross-entropy of the texts, decorrelation, CTC of the finest tokens per step."""
        end = self.model.config.eos_token_id
        rows = [torch.tensor([*self._ids(text), end]) for text in batch.texts]
        labels = pad_sequence(rows, batch_first=True, padding_value=-100)
        keep = labels.shape[1] + 1
        inputs = self._inputs(batch, route)
        found = self.model(
            labels=labels, logits_to_keep=keep, decorrelation_layers="paper", **inputs
        )
        losses = {"text": found.loss, "decorrelation": found.decorrelation_loss}
        own = batch.streams
        if route.modality == "av":  # some of these lips are somebody else's
            own = EncodedStreams(audio=own.audio)
        return losses | head_losses(self.model, own, labels)

    @torch.inference_mode()
    def wer(self, batches: list[Batch], route: Route) -> float:
        """WER of greedy search."""
        said: list[str] = []
        for batch in batches:
            ids = self.model.generate(**self._inputs(batch, route), num_beams=1, max_new_tokens=60)
            said += [" ".join(text.lower().split()) for text in self.processor.batch_decode(ids)]
        return float(jiwer.wer([text for batch in batches for text in batch.texts], said))

    @torch.inference_mode()
    def ctc_wer(self, batches: list[Batch]) -> float:
        """WER of what the CTC head of the batches' stream reads by itself."""
        said: list[str] = []
        for batch in batches:
            (encoded,) = batch.streams.present
            scores = ctc_scores(self.model, encoded)
            ids = [scores.of_clip(row).greedy_text() for row in range(len(batch.texts))]
            said += [self.processor.tokenizer.decode(each).strip() for each in ids]
        return float(jiwer.wer([text for batch in batches for text in batch.texts], said))

    def _inputs(self, batch: Batch, route: Route) -> dict[str, Any]:
        drafts = [None if draft is None else self._ids(draft) for draft in batch.drafts]
        none = all(draft is None for draft in drafts)
        return {"streams": batch.streams, "route": route, "drafts": None if none else drafts}

    def _ids(self, text: str) -> list[int]:
        return plain_ids(self.processor.tokenizer, f" {text}")


def build(base: Path, projectors: dict[Stream, Path], pieces: list[int], lips: Path) -> Reader:
    """The English model around its base models, projectors and tied CTC as CTC left them.

    Args:
        base: folder of the base models.
        projectors: for each stream what ``train_ctc.py`` saved.
        pieces: token ids that these were trained with.
        lips: folder of an AV-HuBERT encoder.
    """
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
        audio_ctc="tied",
        video_ctc="tied",
        ctc_pieces=pieces,
    )
    model = AvsrForConditionalGeneration(config)
    load_base_models(model, dtype=torch.float32)
    for name, value in SEARCH.items():
        setattr(model.generation_config, name, value)
    config.base_models = {  # nobody else has the lips: they are stored with what is trained
        part: base for part, base in (config.base_models or {}).items() if part != "video"
    }
    for stream, file in projectors.items():
        trained = load_file(file)
        for part, prefix in (("projector", "projector."), ("ctc_head", "ctc.")):
            start = {
                name.removeprefix(prefix): torch.atleast_1d(value.float())
                for name, value in trained.items()
                if name.startswith(prefix)
            }
            model.get_submodule(f"{stream}_{part}").load_state_dict(start)
    return Reader(model, processor)


def load_reader(folder: Path) -> Reader:
    """A model that was trained before, to go on from."""
    model: Any = AvsrForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return Reader(model, AvsrProcessor.from_pretrained(folder))


def draw_route(modality: Modality, rng: np.random.Generator) -> Route:
    """Rates of a step, mostly the finer ones."""
    audio, video = (int(rng.random() < COARSE_SHARE) for _ in range(2))
    return Route(
        modality=modality,
        audio_rate=AUDIO_RATES[audio] if modality != "video" else None,
        video_rate=VIDEO_RATES[video] if modality != "audio" else None,
    )


def measure(reader: Reader, dev: Source, films: Source, size: int) -> dict[str, float]:
    """WER on development clips."""
    found = {}
    routes = [Route(modality="audio", audio_rate=rate, video_rate=None) for rate in AUDIO_RATES]
    for drafted in (True, False):
        batches = dev.first(DEV_CLIPS, size, drafted, name="speechocean")
        for route in routes if drafted else routes[:1]:
            name = f"so_a{route.audio_rate}_{'draft' if drafted else 'none'}"
            found[name] = reader.wer(batches, route)
    found["so_ctc"] = reader.ctc_wer(dev.first(DEV_CLIPS, size, False, name="speechocean"))
    both = Route(modality="av", audio_rate=AUDIO_RATES[0], video_rate=VIDEO_RATES[0])
    lips = Route(modality="video", audio_rate=None, video_rate=VIDEO_RATES[0])
    for name, n in (("s1dev_changed", 48), ("s31dev_changed", 10)):
        found[f"{name}_a"] = reader.wer(films.first(n, size, True, name=name), routes[0])
        found[f"{name}_av"] = reader.wer(films.first(n, size, True, "av", name), both)
        found[f"{name}_v"] = reader.wer(films.first(n, size, False, "video", name), lips)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=Path, help="model folder to go on from; or the next four:")
    parser.add_argument("--base", type=Path, help="folder of the base models")
    parser.add_argument("--projectors", nargs=2, type=Path, help="sound, lips, of train_ctc.py")
    parser.add_argument("--pieces", type=Path, help="that they were trained with")
    parser.add_argument("--lips", type=Path, help="folder of an AV-HuBERT encoder")
    parser.add_argument("--sound", nargs="+", required=True, help="DIR or DIR=WEIGHT")
    parser.add_argument("--films", nargs=2, type=Path, required=True, help="sound, lips")
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--dev-films", nargs=2, type=Path, required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--save-every", type=float, default=900.0, help="seconds")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.start is not None:
        reader = load_reader(args.start)
    elif None in (args.base, args.projectors, args.pieces, args.lips):
        parser.error("give --start, or --base, --projectors, --pieces and --lips")
    else:
        pieces = json.loads(args.pieces.read_text())
        sound, lips = args.projectors
        reader = build(args.base, {"audio": sound, "video": lips}, pieces, args.lips)
    training = TimedTraining(
        reader.model,
        args.out,
        hours=args.hours,
        peak=args.learning_rate,
        warmup_steps=50,
        average_decay=0.99,
        max_grad_norm=1.0,
        save_every_s=args.save_every,
    )
    folders = weighted_folders(args.sound)
    sources = [Source(folder) for folder, _ in folders]
    weights = np.array([weight for _, weight in folders])
    films, dev, dev_films = Source(*args.films), Source(args.dev), Source(*args.dev_films)
    log: dict[str, list[float]] = {}
    reader.model.train()
    while not training.is_over:
        rng = np.random.default_rng((training.step, 5))
        modality = list(TASK_SHARES)[rng.choice(len(TASK_SHARES), p=list(TASK_SHARES.values()))]
        source = films
        if modality == "audio":
            source = sources[rng.choice(len(sources), p=weights / weights.sum())]
        batch = source.draw(rng, args.batch_size, modality)
        losses = reader.loss(batch, draw_route(modality, rng))
        heads = sum((losses[name] for name in CTC_LOSSES if name in losses), torch.zeros(()))
        training.update(
            losses["text"] + DECORRELATION_WEIGHT * losses["decorrelation"] + CTC_WEIGHT * heads
        )
        losses[f"{modality}_text"] = losses.pop("text")
        for name, value in losses.items():
            log.setdefault(name, []).append(value.item())
        if training.step % 20 == 0:
            means = {name: round(float(np.mean(values[-20:])), 3) for name, values in log.items()}
            print(training.step, round(training.spent_s), means, flush=True)
        if training.is_due:
            line = {name: float(np.mean(values)) for name, values in log.items()}
            with training.averaged():
                reader.model.eval()
                line |= measure(reader, dev, dev_films, args.batch_size)
                reader.model.save_pretrained(args.out / "model", storage_dtype=torch.float16)
                reader.processor.save_pretrained(args.out / "model")
                reader.model.train()
            training.save({name: round(value, 4) for name, value in line.items()})
            log = {}


if __name__ == "__main__":
    main()

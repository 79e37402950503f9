"""Projectors and LoRA through the frozen language model, on cached features.

    python recipes/english/train_reader.py --base DIR --ctc DIR --sound DIR... --clips DIR... --out DIR

Every step draws a folder, a task and rates, and for each clip whether a draft stands in the prompt:
its own, somebody else's, or none. Stops and resumes anywhere.
"""

import argparse
import json
import time
from pathlib import Path

import jiwer
import numpy as np
import torch
from reader_data import Batch, Source
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from avsr import AvsrForConditionalGeneration, AvsrProcessor

SAVE_EVERY_S, EMA_DECAY = 420, 0.99
AUDIO_RATES, VIDEO_RATES = (4, 16), (2, 5)
TASKS = {"audio": 0.3, "video": 0.3, "av": 0.4}  # of clips that have lips
COARSE_SHARE = 0.3


class Reader:
    """The model with its processor on batches of features."""

    def __init__(self, model: AvsrForConditionalGeneration, processor: AvsrProcessor) -> None:
        self.model, self.processor = model, processor

    def inputs(self, batch: Batch, modality: str, rates: tuple[int, int]) -> dict:
        """Keyword arguments for the model."""
        from avsr.model_parts.streams import EncodedStream, EncodedStreams

        streams = {
            name: EncodedStream(stream=name, features=given[0], lengths=given[1])
            for name, given in (("audio", batch.audio), ("video", batch.video))
            if given is not None
        }
        drafts = [None if draft is None else self.ids(draft) for draft in batch.drafts]
        return {
            "streams": EncodedStreams(**streams),
            "modality": modality,
            "audio_rate": None if batch.audio is None else rates[0],
            "video_rate": None if batch.video is None else rates[1],
            "drafts": drafts,
        }

    def ids(self, text: str) -> list[int]:
        return self.processor.tokenizer(f" {text}", add_special_tokens=False)["input_ids"]

    def labels(self, texts: list[str]) -> Tensor:
        end = self.model.config.eos_token_id
        rows = [torch.tensor([*self.ids(text), end]) for text in texts]
        return pad_sequence(rows, batch_first=True, padding_value=-100)

    @torch.inference_mode()
    def wer(self, source: Source, modality: str, rates: tuple[int, int], drafted: bool, n: int) -> float:
        """Greedy WER of the first ``n`` clips of a folder."""
        from reader_data import padded

        said, meant = [], []
        for file in source.files():
            sound, lips, drafts = source.load(file)
            rows = list(range(len(sound.texts)))[: n - len(meant)]
            for start in range(0, len(rows), 16):
                part = rows[start : start + 16]
                batch = Batch(
                    None if modality == "video" else padded([sound.values[i] for i in part]),
                    None if modality == "audio" or lips is None else padded([lips.values[i] for i in part]),
                    [sound.texts[i] for i in part],
                    [drafts[i] if drafted else None for i in part],
                )
                with torch.autocast("cpu", torch.bfloat16):
                    ids = self.model.generate(**self.inputs(batch, modality, rates), max_new_tokens=60)
                said += [" ".join(t.lower().split()) for t in self.processor.batch_decode(ids)]
                meant += batch.texts
        return float(jiwer.wer(meant, said))


def build(base: Path, ctc: Path, lips: Path | None) -> tuple[AvsrForConditionalGeneration, AvsrProcessor]:
    """The English model around its base models; projectors of sound as CTC left them."""
    from avsr.model_files.base_models import configure, load_base_models
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
        bos_token_id=1,
        draft="encoder_decoder",
    )
    model = AvsrForConditionalGeneration(config)
    load_base_models(model)
    model.float()
    start = load_file(ctc / "average.safetensors")
    prefix = "projector."
    projector = {k.removeprefix(prefix): v.float() for k, v in start.items() if k.startswith(prefix)}
    model.get_submodule("audio_projector").load_state_dict(projector)
    return model, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, type=Path)
    parser.add_argument("--ctc", required=True, type=Path)
    parser.add_argument("--lips", type=Path, help="folder of an AV-HuBERT encoder")
    parser.add_argument("--sound", nargs="+", type=Path, required=True)
    parser.add_argument("--clips", nargs="*", type=Path, default=[])
    parser.add_argument("--dev", nargs="+", type=Path, required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    reader = Reader(*build(args.base, args.ctc, args.lips))
    model = reader.model
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    average = {name: p.detach().clone() for name, p in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=args.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint, step, spent = args.out / "state.pt", 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        step, spent, average = state["step"], state["spent"], state["average"]
        optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for name, value in state["trained"].items():
                trained[name].copy_(value)
    sound, clips = [Source(f) for f in args.sound], [Source(f) for f in args.clips]
    dev = {folder.name: Source(folder) for folder in args.dev}
    began = saved = time.time()
    log: list[dict[str, float]] = []
    model.train()
    while True:
        share = min(1.0, (spent + time.time() - began) / 3600 / args.hours)
        rate = args.learning_rate * min(1.0, (step + 1) / 50) * (0.49 * (1 + np.cos(np.pi * share)) + 0.02)
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        rng = np.random.default_rng((step, 5))
        with_lips = bool(clips) and rng.random() < 0.3
        source = (clips if with_lips else sound)[rng.integers(len(clips if with_lips else sound))]
        modality = str(rng.choice(list(TASKS), p=list(TASKS.values()))) if with_lips else "audio"
        rates = tuple(r[int(rng.random() < COARSE_SHARE)] for r in (AUDIO_RATES, VIDEO_RATES))
        batch = source.draw(rng, args.batch_size, modality)
        labels = reader.labels(batch.texts)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(
                labels=labels, logits_to_keep=labels.shape[1] + 1, **reader.inputs(batch, modality, rates)
            )  # fmt: skip
        optimizer.zero_grad()
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            for name, value in trained.items():
                average[name].lerp_(value, 1 - min(EMA_DECAY, step / (step + 20)))
        log.append({modality: output.loss.item()})
        if time.time() - saved < SAVE_EVERY_S and share < 1:
            continue
        saved = time.time()
        own = {name: value.detach().clone() for name, value in trained.items()}
        with torch.no_grad():
            for name, value in trained.items():
                value.copy_(average[name])
        model.eval()
        wers = {}
        for name, folder in dev.items():
            for drafted in (True, False):
                wers[f"{name} {'draft' if drafted else 'no draft'}"] = round(
                    reader.wer(folder, "audio", (4, 2), drafted, 48), 4
                )
        model.train()
        with torch.no_grad():
            for name, value in trained.items():
                value.copy_(own[name])
        save_file({n: v.half() for n, v in average.items()}, args.out / "average.safetensors")
        names = sorted({name for each in log for name in each})
        line = {n: round(float(np.mean([e[n] for e in log if n in e])), 3) for n in names}
        line |= {"step": step, "hours": round(spent / 3600 + (time.time() - began) / 3600, 3), **wers}
        with open(args.out / "log.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
        log = []
        state = {"trained": own, "average": average, "optimizer": optimizer.state_dict(),
                 "step": step, "spent": spent + time.time() - began}  # fmt: skip
        torch.save(state, args.out / ".state.pt")
        (args.out / ".state.pt").replace(checkpoint)
        if share >= 1:
            return


if __name__ == "__main__":
    main()

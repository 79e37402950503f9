"""Projectors and LoRA through the frozen language model, on cached features of sound.

    python recipes/english/train_reader.py --base DIR --projectors FILE --sound DIR... --dev DIR ...

Every step draws a folder, a rate, and for each clip whether a draft stands in the prompt: its own,
somebody else's, or none. CTC holds the tokens of the finest rate to what is said. Stops and
resumes anywhere; the model folder is ``OUT/model``.
"""

import argparse
import json
from pathlib import Path

import jiwer
import numpy as np
import torch
from reader_data import Batch, Source
from safetensors.torch import load_file
from timed_training import TimedTraining
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from avsr import AvsrForConditionalGeneration, AvsrProcessor
from avsr.model_files.base_models import configure, load_base_models
from avsr.tokenizer import plain_ids
from avsr.training.ctc_loss import head_losses

RATES = (4, 16)
COARSE_SHARE = 0.3
CTC_WEIGHT = 0.3
DEV_CLIPS = 48


class Reader:
    """A model with its processor, on batches of features."""

    def __init__(self, model: AvsrForConditionalGeneration, processor: AvsrProcessor) -> None:
        self.model, self.processor = model, processor

    def loss(self, batch: Batch, rate: int) -> Tensor:
        """Mean cross-entropy of the texts, and CTC between the finest tokens and the texts."""
        end = self.model.config.eos_token_id
        rows = [torch.tensor([*self._ids(text), end]) for text in batch.texts]
        labels = pad_sequence(rows, batch_first=True, padding_value=-100)
        keep = labels.shape[1] + 1
        output = self.model(labels=labels, logits_to_keep=keep, **self._inputs(batch, rate))
        ctc = head_losses(self.model, batch.streams, labels)["ctc_audio"]
        return output.loss + CTC_WEIGHT * ctc

    @torch.inference_mode()
    def wer(self, batches: list[Batch], rate: int) -> float:
        """WER of greedy search."""
        said: list[str] = []
        for batch in batches:
            ids = self.model.generate(**self._inputs(batch, rate), num_beams=1, max_new_tokens=60)
            said += [" ".join(text.lower().split()) for text in self.processor.batch_decode(ids)]
        return float(jiwer.wer([text for batch in batches for text in batch.texts], said))

    def _inputs(self, batch: Batch, rate: int) -> dict:
        drafts = [None if draft is None else self._ids(draft) for draft in batch.drafts]
        return {
            "streams": batch.streams,
            "modality": "audio",
            "audio_rate": rate,
            "drafts": None if all(draft is None for draft in drafts) else drafts,
        }

    def _ids(self, text: str) -> list[int]:
        return plain_ids(self.processor.tokenizer, f" {text}")


def build(base: Path, projectors: Path, pieces: list[int]) -> Reader:
    """The English model around its base models, projectors and tied CTC of sound as CTC left them.

    Args:
        base: folder of the base models.
        projectors: what ``train_ctc.py`` saved.
        pieces: token ids that it was trained with.
    """
    config, processor = configure(
        base / "smollm2-135m-instruct",
        base / "whisper-tiny.en",
        audio_rates=RATES,
        compression="stack",
        projector_hidden_size=768,
        projector_activation="gelu",
        audio_projector_layer_norm=True,
        lora_rank=16,
        lora_scaling=1.0,
        lora_target_modules=None,
        bos_token_id=1,  # <|im_start|>: what the language model's texts begin with
        draft="encoder_decoder",
        audio_ctc="tied",
        ctc_pieces=pieces,
    )
    model = AvsrForConditionalGeneration(config)
    load_base_models(model, dtype=torch.float32)
    trained = load_file(projectors)
    for part, prefix in (("audio_projector", "projector."), ("audio_ctc_head", "ctc.")):
        start = {
            name.removeprefix(prefix): torch.atleast_1d(value.float())
            for name, value in trained.items()
            if name.startswith(prefix)
        }
        model.get_submodule(part).load_state_dict(start)
    return Reader(model, processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, type=Path)
    parser.add_argument("--projectors", required=True, type=Path, help="of train_ctc.py")
    parser.add_argument("--pieces", required=True, type=Path, help="that it was trained with")
    parser.add_argument("--sound", nargs="+", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    reader = build(args.base, args.projectors, json.loads(args.pieces.read_text()))
    training = TimedTraining(
        reader.model,
        args.out,
        hours=args.hours,
        peak=args.learning_rate,
        warmup_steps=50,
        average_decay=0.99,
        max_grad_norm=1.0,
        save_every_s=420,
    )
    sources, dev = [Source(folder) for folder in args.sound], Source(args.dev)
    losses: list[float] = []
    reader.model.train()
    while not training.is_over:
        rng = np.random.default_rng((training.step, 5))
        batch = sources[rng.integers(len(sources))].draw(rng, args.batch_size)
        with torch.autocast("cpu", torch.bfloat16):
            loss = reader.loss(batch, RATES[int(rng.random() < COARSE_SHARE)])
        training.update(loss)
        losses.append(loss.item())
        if training.is_due:
            line = {"loss": round(float(np.mean(losses)), 3)}
            with training.averaged():
                reader.model.eval()
                for name, drafted in (("draft", True), ("no_draft", False)):
                    batches = dev.first(DEV_CLIPS, args.batch_size, drafted)
                    for rate in RATES:
                        line[f"wer_{name}_{rate}"] = round(reader.wer(batches, rate), 4)
                reader.model.save_pretrained(args.out / "model", storage_dtype=torch.float16)
                reader.processor.save_pretrained(args.out / "model")
                reader.model.train()
            training.save(line)
            losses = []


if __name__ == "__main__":
    main()

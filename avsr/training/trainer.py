"""The Hugging Face Trainer with our batches, our loss and our checkpoints.

Everything distributed (several processes, nodes, sharding) is the Trainer's and accelerate's.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from avsr.processing import AvsrProcessor
from avsr.scoring.alignment import align
from avsr.text import normalise
from avsr.training.batching import FrameBatchSampler, Pick, batch_clips, bucket_clips
from avsr.training.callbacks import EpochOfSampler
from avsr.training.collator import Collator
from avsr.training.ctc_loss import CTC_LOSSES
from avsr.training.examples import TrainingSet
from avsr.training.objective import TrainingObjective
from avsr.training.routes import RoutePlan
from avsr.training.settings import BatchSettings
from avsr.training.sharding import BegunStates
from avsr.training.speed import SpeedMeter, peak_memory_gb
from avsr.training.trained_weights import load_trained, read_trained, save_trained

_WRAPPED = "model."  # where the objective keeps the model
# Worked out from a batch size, operations and steps that do not hold for our batches and resuming.
_MISLEADING = ("train_samples_per_second", "train_steps_per_second", "total_flos")


class AvsrTrainer(Trainer):
    """Trains an objective; a checkpoint is a model folder with what resuming needs beside it.

    Args:
        objective: the model and its loss.
        arguments: of the Trainer.
        train_set: clips to train on.
        dev_set: clips to choose checkpoints on, or None.
        processor: saved with the model.
        plan: chooses the passes of a step.
        batch: sizes of batches.
        choose_by: "loss" or "wer", what checkpoints are compared by.
        self_contained: checkpoints hold all weights; None: where no base model is named.
        callbacks: more callbacks.
    """

    def __init__(
        self,
        objective: TrainingObjective,
        arguments: TrainingArguments,
        *,
        train_set: TrainingSet,
        dev_set: TrainingSet | None,
        processor: AvsrProcessor,
        plan: RoutePlan,
        batch: BatchSettings,
        choose_by: str = "loss",
        self_contained: bool | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self._processor = processor
        self._plan = plan
        self._batch = batch
        self._choose_by = choose_by
        self._self_contained = self_contained
        self._sums: dict[str, list[float]] = {}  # log name -> sum and number of values
        self._speed = SpeedMeter()
        self._train_set, self._dev_set = train_set, dev_set
        super().__init__(
            model=objective,
            args=arguments,
            train_dataset=train_set,
            eval_dataset=dev_set,
            data_collator=Collator(processor, plan),
            callbacks=list(callbacks),
        )
        if self.is_fsdp_enabled:
            # Autocast chooses types; the policy of FSDP would leave BatchNorm's buffers behind.
            sharding: Any = self.accelerator.state.fsdp_plugin
            sharding.mixed_precision_policy = None
            self.add_callback(BegunStates())
        group_size = self.accelerator.num_processes * arguments.gradient_accumulation_steps
        self.batch_sampler = FrameBatchSampler(
            [example.n_frames for example in train_set.examples],
            max_frames=batch.max_frames,
            max_clips=batch.max_clips,
            group_size=group_size,
            seed=arguments.seed,
        )
        self.add_callback(EpochOfSampler(self.batch_sampler))

    @property
    def objective(self) -> TrainingObjective:
        """What is trained, without the wrappers of distributed training."""
        return self.accelerator.unwrap_model(self.model)

    def get_train_dataloader(self) -> DataLoader:
        return self.accelerator.prepare(
            DataLoader(
                self._train_set,
                batch_sampler=self.batch_sampler,
                collate_fn=self.data_collator,
                num_workers=self.args.dataloader_num_workers,
                pin_memory=self.args.dataloader_pin_memory,
            )
        )

    def compute_loss(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        with self.accelerator.autocast():  # FSDP 2 has none of its own
            outputs = model(**inputs)
        self._speed.count(inputs)
        for name in ("cross_entropy", "decorrelation"):
            values = outputs[name].tolist() if name in outputs else []
            short = "ce" if name == "cross_entropy" else "decorrelation"
            for item, value in zip(inputs["routes"], values, strict=bool(values)):
                self._note(f"{short}_{item.route.task}", value)
        for name in CTC_LOSSES:
            if name in outputs:
                self._note(name, outputs[name].item())
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def _note(self, name: str, value: float) -> None:
        """Add a value to what the next line of the log is the mean of; NaN: nothing was learned."""
        entry = self._sums.setdefault(name, [0.0, 0.0])
        if not math.isnan(value):
            entry[0] += value
            entry[1] += 1

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add each task's mean loss since the last line and the speed, over all processes."""
        if "loss" in logs and self._sums:
            names = sorted(self._sums)
            values = torch.tensor([self._sums[name] for name in names], dtype=torch.float64)
            # float32 is all that every device can add up
            values = self._sum_of_all(values.float().to(self.args.device))
            logs |= {
                name: round(float(total / count), 6)
                for name, (total, count) in zip(names, values, strict=True)
                if count
            }
            self._sums.clear()
            speed = self._sum_of_all(torch.tensor(self._speed.take()).to(self.args.device))
            logs["clip_s_per_s"], logs["tokens_per_s"] = (round(v, 2) for v in speed.tolist())
            logs["peak_memory_gb"] = round(peak_memory_gb(), 3)
        for name in _MISLEADING:
            logs.pop(name, None)
        super().log(logs, start_time)

    def evaluate(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Measure the dev clips, log it and tell the callbacks, see :meth:`measure_dev`."""
        metrics = self.measure_dev(metric_key_prefix)
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def dev_measure(self) -> float:
        """What checkpoints are compared by: less is better."""
        return self.measure_dev("dev")[f"dev_{self._choose_by}"]

    @torch.no_grad()
    def measure_dev(self, prefix: str) -> dict[str, float]:
        """Cross-entropy per text token of every modality and rate on the dev clips.

        Returns:
            ``<prefix>_loss``, weighted as in training, and ``<prefix>_ce_...`` for each pass; where
            checkpoints are chosen by it, ``<prefix>_wer`` and ``<prefix>_wer_...`` likewise. Where
            the objective has a CTC term, ``<prefix>_ctc_...`` of each head (the mean over batches,
            by text tokens), which the loss contains with its weight.
        """
        routes, with_wer = self._plan.all(), self._choose_by == "wer"
        sums = torch.zeros(len(routes) + 1, device=self.args.device)
        wrong = torch.zeros_like(sums)  # word errors of each pass, and the words
        heads: dict[str, Tensor] = {}
        model: Any = self.model  # sharded where the run is, else without wrappers
        model.eval()
        for batch, counts in self._dev_batches():
            with self.accelerator.autocast():
                outputs = model(**self._prepare_inputs(batch))
            n_tokens = (batch["labels"] >= 0).sum().to(sums) * counts
            sums[:-1] += outputs["cross_entropy"].float() * n_tokens
            sums[-1] += n_tokens
            for name in CTC_LOSSES:
                if name in outputs:
                    heads[name] = heads.get(name, 0) + outputs[name] * n_tokens
            if with_wer and counts:
                wrong += torch.tensor(self._word_errors(batch)).to(wrong)
        sums = self._sum_of_all(sums)
        metrics: dict[str, float] = {}
        for total, part, values in (("loss", "ce", sums), ("wer", "wer", wrong)):
            if part == "wer" and not with_wer:
                continue
            values = values if part == "ce" else self._sum_of_all(values)
            means = (values[:-1] / values[-1]).tolist()
            weighted = sum(item.weight * mean for item, mean in zip(routes, means, strict=True))
            metrics[f"{prefix}_{total}"] = weighted / sum(item.weight for item in routes)
            for item, mean in zip(routes, means, strict=True):
                metrics[f"{prefix}_{part}_{item.name}"] = mean
        for name, summed in heads.items():
            mean = float(self._sum_of_all(summed) / sums[-1])
            metrics[f"{prefix}_{name}"] = mean
            metrics[f"{prefix}_loss"] += self.objective.ctc_weight * mean / len(heads)
        return metrics

    def _word_errors(self, batch: dict[str, Any]) -> list[int]:
        """Word errors of each pass by greedy decoding, then the words of the batch."""
        said = [normalise(self._processor.decode(row[row >= 0])) for row in batch["labels"]]
        inputs: dict[str, Any] = self._prepare_inputs(batch)
        texts = self.objective.transcribe(**inputs)
        counts = [
            [
                alignment.errors.n_errors
                for alignment in align(
                    said, [normalise(text) for text in self._processor.batch_decode(ids)]
                )
            ]
            for ids in texts
        ]
        return [*map(sum, counts), sum(len(text.split()) for text in said)]

    def _sum_of_all(self, values: Tensor) -> Tensor:
        """Add up a tensor over all processes."""
        total: Any = self.accelerator.reduce(values, "sum")
        return total.cpu()

    def _dev_batches(self) -> Iterator[tuple[dict[str, Any], bool]]:
        """This process's share, as many on each: the last one may only fill up (weight 0)."""
        dev = self._dev_set
        if dev is None:
            raise ValueError("there are no dev clips to evaluate on")
        n_frames = [example.n_frames for example in dev.examples]
        batches = batch_clips(
            bucket_clips(n_frames), n_frames, self._batch.max_frames, self._batch.max_clips
        )
        n_processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        n_each = math.ceil(len(batches) / n_processes)
        collate = Collator(self._processor, self._plan, every_route=True)
        for number in range(rank, n_each * n_processes, n_processes):
            counts = number < len(batches)
            chosen = batches[number] if counts else batches[0]
            yield collate([dev[Pick(index, 0, 0, 0)] for index in chosen]), counts

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None
    ) -> None:
        """Write a model folder and, for resuming and averaging, the weights that learn."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or str(self.args.output_dir))
        if state_dict is not None:
            state_dict = {
                name.removeprefix(_WRAPPED): tensor for name, tensor in state_dict.items()
            }
        self.write_model(folder, state_dict)
        save_trained(self.objective.model, folder, state_dict)

    def write_model(self, folder: Path, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write a model folder that ``avsr`` loads.

        Args:
            folder: made where missing.
            state_dict: weights in place of the model's own.
        """
        self.objective.model.save_pretrained(
            folder, state_dict=state_dict, self_contained=self._self_contained
        )
        self._processor.save_pretrained(folder)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            self.load_trained(read_trained(Path(resume_from_checkpoint)))

    def load_trained(self, tensors: dict[str, Tensor]) -> None:
        """Give the model other trained weights."""
        load_trained(self.objective.model, tensors)

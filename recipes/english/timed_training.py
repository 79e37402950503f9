"""Training for so many hours: what learns, its average, where it stands, and when to measure it."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class TimedTraining:
    """Parameters that learn for a span of time; a run stops and resumes anywhere.

    The learning rate rises over some steps and then falls as a cosine of the share of the time that
    is spent. A moving average of the parameters is what is measured and used.

    Args:
        model: those of its parameters learn that ask for gradients.
        out: folder for ``state.pt`` and ``log.jsonl``; created where missing.
        hours: of training in all, those of earlier runs too.
        peak: highest learning rate.
        warmup_steps: steps over which it rises.
        average_decay: of the moving average, less in the first steps.
        max_grad_norm: gradients are clipped to it.
        save_every_s: seconds between two measurements.

    Attributes:
        step: steps done.
        average: the moving average, by name.
        is_over: whether the time is spent and its end is saved.
    """

    def __init__(
        self,
        model: nn.Module,
        out: Path,
        *,
        hours: float,
        peak: float,
        warmup_steps: int,
        average_decay: float,
        max_grad_norm: float,
        save_every_s: float,
    ) -> None:
        self.hours, self.peak, self.warmup_steps = hours, peak, warmup_steps
        self.average_decay, self.max_grad_norm = average_decay, max_grad_norm
        self.save_every_s = save_every_s
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.trained.items()}
        self.optimizer = torch.optim.AdamW(
            self.trained.values(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01
        )
        self.step, self._before_s, self._out = 0, 0.0, out
        out.mkdir(parents=True, exist_ok=True)
        if (out / "state.pt").exists():
            state = torch.load(out / "state.pt", weights_only=True)
            self.step, self._before_s = state["step"], state["spent_s"]
            self.average = state["average"]
            self.optimizer.load_state_dict(state["optimizer"])
            self._put(state["trained"])
        self._began = self._saved = time.time()
        self.is_over = self.share >= 1

    @property
    def spent_s(self) -> float:
        """Seconds of training, those of earlier runs too."""
        return self._before_s + time.time() - self._began

    @property
    def share(self) -> float:
        """Of the hours, what is spent: 0 to 1."""
        return min(1.0, self.spent_s / 3600 / self.hours)

    @property
    def is_due(self) -> bool:
        """Whether it is time to measure and to save."""
        return self.share >= 1 or time.time() - self._saved >= self.save_every_s

    def update(self, loss: Tensor) -> None:
        """One step of the optimiser and of the average."""
        rise = min(1.0, (self.step + 1) / self.warmup_steps)
        fall = 0.49 * (1 + math.cos(math.pi * self.share)) + 0.02
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * rise * fall
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.values(), self.max_grad_norm)
        self.optimizer.step()
        self.step += 1
        decay = min(self.average_decay, self.step / (self.step + 20))
        with torch.no_grad():
            for name, value in self.trained.items():
                self.average[name].lerp_(value, 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model as its average, for the length of the block."""
        own = self._own()
        self._put(self.average)
        try:
            yield
        finally:
            self._put(own)

    def save(self, line: dict[str, Any]) -> None:
        """Log what was measured, then replace the state in one move."""
        line = {"step": self.step, "hours": round(self.spent_s / 3600, 3), **line}
        print(json.dumps(line), flush=True)
        with open(self._out / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        state = {
            "trained": self._own(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
        }
        part = self._out / "state.part"
        torch.save(state, part)
        part.replace(self._out / "state.pt")
        self._saved = time.time()
        self.is_over = self.share >= 1

    def _own(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.trained.items()}

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, value in self.trained.items():
            value.copy_(values[name])

"""What every training of this recipe keeps: weights, their average, the optimiser, a log."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn


class TrainingState:
    """A model in training that can be stopped at any moment and resumed.

    Args:
        model: the model.
        average: another instance, which will hold the moving average of its weights.
        optimizer: of the model's parameters.
        folder: for ``checkpoint.pt`` and ``log.jsonl``; created where missing.

    Attributes:
        step: steps done.
        extra: other values to keep, such as the best score so far.
    """

    def __init__(
        self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, folder: Path
    ) -> None:
        self.model = model
        self.average = average
        self.optimizer = optimizer
        self.folder = folder
        self.step = 0
        self.extra: dict[str, float] = {}
        folder.mkdir(parents=True, exist_ok=True)
        average.load_state_dict(model.state_dict())

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.extra = state["step"], state.get("extra", {})

    def save(self, line: dict[str, Any]) -> None:
        """Print and append a line to the log, then replace the checkpoint in one move."""
        print(json.dumps(line), flush=True)
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "extra": self.extra,
        }
        part = self.folder / "checkpoint.part"
        torch.save(state, part)
        part.replace(self.folder / "checkpoint.pt")

    def apply(self, loss: torch.Tensor, rates: list[float], average_decay: float) -> None:
        """One optimiser step and one step of the average.

        Args:
            loss: scalar.
            rates: learning rate of each parameter group.
            average_decay: of the moving average, less in the first steps.
        """
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss.backward()
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, 1.0)
        self.optimizer.step()
        self.step += 1
        decay = min(average_decay, self.step / (self.step + 10))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
            for kept, current in pairs:
                kept.lerp_(current, 1 - decay)
            for kept, current in zip(self.average.buffers(), self.model.buffers(), strict=True):
                kept.copy_(current)

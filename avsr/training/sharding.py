"""What a run with sharded weights (FSDP) needs beyond the Trainer."""

import torch
from transformers import TrainerCallback


class BegunStates(TrainerCallback):
    """Gives all weights that learn their optimiser state before the first gradient.

    Adapters of a rate that was not drawn yet have none, and a sharded checkpoint without it cannot
    be read back.
    """

    def on_train_begin(self, args, state, control, optimizer=None, **kwargs) -> None:
        optimizer = getattr(optimizer, "optimizer", optimizer)  # without accelerate's wrapper
        if optimizer is not None and not optimizer.state:
            begin_states(optimizer)


def begin_states(optimizer: torch.optim.Optimizer) -> None:
    """Make the state of every weight as it is before the first step; no weight changes."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    for values in optimizer.state.values():
        for value in values.values():
            value.zero_()

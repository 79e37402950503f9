"""LoRA strategies: which of several named adapters act for a task and a pair of rates.

Built on peft: every adapter is an ordinary named peft adapter of the language model. Task names:
``asr`` (audio), ``vsr`` (video), ``avsr`` (both).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from peft import LoraConfig, LoraModel
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

Strategy = Literal["shared", "per_rate", "shared+per_rate", "per_task", "shared+per_task"]
Task = Literal["asr", "vsr", "avsr"]

STRATEGIES: tuple[str, ...] = (
    "shared",
    "per_rate",
    "shared+per_rate",
    "per_task",
    "shared+per_task",
)
SHARED = "shared"  # name of the adapter that acts for every task and rate


def rate_adapter(task: str, audio_rate: int | None, video_rate: int | None) -> str:
    """Name the adapter of one task's rates: ``a4`` (asr), ``v2`` (vsr), ``a4_v2`` (avsr)."""
    audio = f"a{audio_rate}" if task in ("asr", "avsr") else ""
    video = f"v{video_rate}" if task in ("vsr", "avsr") else ""
    return "_".join(part for part in (audio, video) if part)


def active_adapters(
    strategy: str, task: str, audio_rate: int | None, video_rate: int | None
) -> tuple[str, ...]:
    """Return the names of the adapters that act together; their outputs are summed.

    Raises:
        ValueError: unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f'LoRA strategy must be one of {", ".join(STRATEGIES)}, got "{strategy}"')
    names = [SHARED] if strategy.startswith(SHARED) else []
    if strategy.endswith("per_rate"):
        names.append(rate_adapter(task, audio_rate, video_rate))
    elif strategy.endswith("per_task"):
        names.append(task)
    return tuple(names)


def adapter_names(
    strategy: str, tasks: Iterable[str], audio_rates: Sequence[int], video_rates: Sequence[int]
) -> tuple[str, ...]:
    """Return every adapter that a model of these tasks and rates has, in a fixed order."""
    names: dict[str, None] = {}
    for task in tasks:
        for audio_rate in audio_rates if task != "vsr" else (None,):
            for video_rate in video_rates if task != "asr" else (None,):
                names.update(dict.fromkeys(active_adapters(strategy, task, audio_rate, video_rate)))
    return tuple(names)


def linear_layer_names(module: nn.Module, exclude: Iterable[str] = ("lm_head",)) -> list[str]:
    """Return the last name parts of all linear layers but ``exclude``, sorted."""
    names = {
        name.rpartition(".")[2]
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear)
    }
    return sorted(names - set(exclude))


class LoraAdapters:
    """Named LoRA adapters in a module: choose which act, fold them into the weights and back.

    Creating it changes ``module`` in place: the target layers are wrapped by peft and every
    parameter of ``module`` but the adapters' is frozen. Which adapters *act* and which are
    *trained* are separate: choosing adapters never touches ``requires_grad``, so that losses of
    several choices can be summed before one backward pass. (With gradient checkpointing, run the
    backward pass before the next choice: the recomputation uses the adapters then in force.)

    Args:
        module: a language model.
        names: the adapters to create.
        rank: width of the bottleneck.
        scaling: factor on each adapter's output, whatever the rank.
        target_modules: last name parts of the linear layers to adapt.
        dropout: dropout probability on the adapters' input while training.
    """

    def __init__(
        self,
        module: nn.Module,
        names: Sequence[str],
        *,
        rank: int,
        scaling: float,
        target_modules: Sequence[str],
        dropout: float = 0.0,
    ) -> None:
        self.names = tuple(names)
        self.configs = {
            name: LoraConfig(
                r=rank,
                lora_alpha=scaling * rank,  # pyright: ignore[reportArgumentType]
                target_modules=list(target_modules),
                lora_dropout=dropout,
            )
            for name in self.names
        }
        tuner = LoraModel(module, dict(self.configs), self.names[0])
        for name in self.names[1:]:
            tuner.inject_adapter(module, name)
        self.layers = [part for part in module.modules() if isinstance(part, LoraLinear)]
        for layer in self.layers:
            layer.scaling.update(dict.fromkeys(self.names, scaling))
        self._active: tuple[str, ...] | None = None
        self._folded: tuple[str, ...] | None = None
        self._unfolded_weights: list[Tensor] = []
        self.train_all()
        self.activate(self.names[:1])

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the adapters that act now."""
        return self._active or ()

    @property
    def folded(self) -> tuple[str, ...] | None:
        """Names of the adapters folded into the weights, or none."""
        return self._folded

    def parameters(self, name: str | None = None) -> list[nn.Parameter]:
        """Return the parameters of one adapter, or of all."""
        chosen = self.names if name is None else (name,)
        return [
            part[adapter].weight  # pyright: ignore[reportReturnType]
            for layer in self.layers
            for part in (layer.lora_A, layer.lora_B)
            for adapter in chosen
        ]

    def train_all(self) -> None:
        """Make every adapter trainable."""
        for parameter in self.parameters():
            parameter.requires_grad_(True)

    def activate(self, names: Sequence[str]) -> None:
        """Let exactly these adapters act; their outputs add up.

        Other adapters that are folded into the weights are unfolded.

        Raises:
            ValueError: an unknown name.
        """
        names = tuple(names)
        if names != self._folded:
            self.unfold()
        if names == self._active:
            return
        unknown = set(names) - set(self.names)
        if unknown:
            raise ValueError(f"unknown adapters {sorted(unknown)}; there are {list(self.names)}")
        parameters = self.parameters()
        trained = [parameter.requires_grad for parameter in parameters]
        for layer in self.layers:
            layer.set_adapter(list(names))  # also turns requires_grad on and off: undone below
        for parameter, flag in zip(parameters, trained, strict=True):
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)
        self._active = names

    @contextmanager
    def off(self) -> Iterator[None]:
        """The module as it was before fine-tuning, for the length of the block."""
        self.unfold()
        trained = [(p, p.requires_grad) for p in self.parameters()]
        for layer in self.layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self.layers:
                layer.enable_adapters(True)  # also turns requires_grad on and off: undone below
            for parameter, flag in trained:
                parameter.requires_grad_(flag)

    def fold(self, names: Sequence[str]) -> None:
        """Add these adapters to the base weights, so that they cost nothing at run time.

        The changed weights are new tensors; the old ones are kept until :meth:`unfold`. Folding
        what is folded costs nothing.
        """
        names = tuple(names)
        if names == self._folded:
            return
        self.unfold()
        self.activate(names)
        self._unfolded_weights = [_base_weight(layer).data for layer in self.layers]
        with torch.no_grad():
            for layer in self.layers:
                layer.merge(safe_merge=True, adapter_names=list(names))
        self._folded = names

    def unfold(self) -> None:
        """Restore the base weights bit for bit; the folded adapters act as adapters again."""
        if self._folded is None:
            return
        for layer, weight in zip(self.layers, self._unfolded_weights, strict=True):
            layer.merged_adapters.clear()
            parameter = _base_weight(layer)
            parameter.data = weight.to(parameter.device)  # the model may have moved since
        self._unfolded_weights = []
        self._folded = None


def _base_weight(layer: LoraLinear) -> nn.Parameter:
    return layer.get_base_layer().weight  # pyright: ignore[reportReturnType]

"""Which hidden units of an MLP make a sink: large activations come out of a few open gates.

In a gated MLP (Llama, Qwen, Gemma) a feature of the output is a sum over hidden units of
``act(gate) * up * down``. The paper on sinks in speech (arXiv 2510.22603) shows that sinks differ
from other tokens by the sign of ``gate``. Shapes: S positions, I hidden units.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avsr.sinks.analysis import SinkAnalysis, SinkOrigin
from avsr_adapters import decoder_layers

UNITS = 3  # that are named for each origin


@dataclass(frozen=True, kw_only=True)
class GateUnit:
    """A hidden unit that brings forth the largest activation of a sink.

    Attributes:
        token: position of the sink.
        layer: whose MLP it is, from 1.
        feature: index of the activation.
        unit: index of the hidden unit.
        share: of what the MLP adds to that activation; shares of others may be negative.
        gate: projection of the sink on the unit's gate.
        others: median of that projection over the tokens that are no sink in any layer.
    """

    token: int
    layer: int
    feature: int
    unit: int
    share: float
    gate: float
    others: float


def gate_units(
    language_model: Any, run: Callable[[], Any], analysis: SinkAnalysis
) -> tuple[GateUnit, ...]:
    """The strongest hidden units behind each origin of each sink that lies in a gated MLP.

    Args:
        language_model: the model that was analysed.
        run: calls it once more on the same row.
        analysis: what was found.

    Returns:
        Up to ``UNITS`` for each origin, strongest first; nothing for models without gates.
    """
    wanted = [
        (sink.index, origin)
        for sink in analysis.sinks
        for origin in sink.origins
        if origin.part == "mlp"
    ]
    layers = decoder_layers(language_model)
    mlps = {origin.layer: _gated_mlp(layers[origin.layer - 1]) for _, origin in wanted}
    seen: dict[tuple[int, str], Tensor] = {}
    handles = []
    for number, mlp in mlps.items():
        if mlp is None:
            continue

        def note_gate(module: Any, inputs: Any, output: Tensor, number: int = number) -> None:
            seen[number, "gate"] = output.detach()[0]

        def note_hidden(module: Any, inputs: tuple[Tensor], number: int = number) -> None:
            seen[number, "hidden"] = inputs[0].detach()[0]

        handles.append(mlp.get_submodule("gate_proj").register_forward_hook(note_gate))
        handles.append(mlp.get_submodule("down_proj").register_forward_pre_hook(note_hidden))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    ordinary = torch.from_numpy(np.flatnonzero(~analysis.is_sink.any(axis=0)))
    units: list[GateUnit] = []
    for token, origin in wanted:
        mlp = mlps[origin.layer]
        if mlp is not None:
            gate, hidden = seen[origin.layer, "gate"], seen[origin.layer, "hidden"]
            units += _strongest(mlp, gate.float(), hidden, token, origin, ordinary)
    return tuple(units)


def _gated_mlp(layer: nn.Module) -> nn.Module | None:
    for module in layer.modules():
        names = dict(module.named_children())
        if "gate_proj" in names and "down_proj" in names:
            return module
    return None


def _strongest(
    mlp: nn.Module, gate: Tensor, hidden: Tensor, token: int, origin: SinkOrigin, ordinary: Tensor
) -> list[GateUnit]:
    """Units by how much they add, in magnitude."""
    with torch.enable_grad():
        given = hidden[token].clone().requires_grad_()
        added = mlp.get_submodule("down_proj")(given)[origin.feature]
        (row,) = torch.autograd.grad(added, given)  # the weights, adapters included: it is linear
    parts = (row * given).detach().float()
    total = float(parts.sum())
    return [
        GateUnit(
            token=token,
            layer=origin.layer,
            feature=origin.feature,
            unit=unit,
            share=float(parts[unit]) / total if total else 0.0,
            gate=float(gate[token, unit]),
            others=float(gate[ordinary, unit].median()) if len(ordinary) else 0.0,
        )
        for unit in parts.abs().topk(min(UNITS, len(parts))).indices.tolist()
    ]

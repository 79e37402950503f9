"""Projectors: from compressed encoder features to the embedding space of a language model."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def build_projector(
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    activation: str = "relu",
    layer_norm: bool = False,
) -> nn.Sequential:
    """Return Linear, activation, Linear and, if asked for, LayerNorm.

    The children are numbered as in the published weights: ``0`` and ``2`` are the linear layers,
    ``3`` is the norm.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f'activation must be one of {sorted(ACTIVATIONS)}, got "{activation}"')
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["0"] = nn.Linear(input_size, hidden_size)
    parts["1"] = ACTIVATIONS[activation]()
    parts["2"] = nn.Linear(hidden_size, output_size)
    if layer_norm:
        parts["3"] = nn.LayerNorm(output_size)
    return nn.Sequential(parts)


class RateProjector(nn.Module):
    """One projector for each trained rate, or one for all of them.

    Args:
        rates: the trained rates.
        input_sizes: feature size that each rate's projector takes, in the order of ``rates``.
        hidden_size: width between the two linear layers.
        output_size: width of the language model's embeddings.
        per_rate: one projector per rate (named by its rate), or a single one named ``shared``.
        activation: "relu", "gelu" or "silu".
        layer_norm: end with a LayerNorm.

    Raises:
        ValueError: one projector is to serve rates of different input sizes.
    """

    def __init__(
        self,
        rates: Sequence[int],
        input_sizes: Sequence[int],
        hidden_size: int,
        output_size: int,
        *,
        per_rate: bool = True,
        activation: str = "relu",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.per_rate = per_rate
        if not per_rate and len(set(input_sizes)) > 1:
            raise ValueError(
                f"one projector cannot serve stacked rates {list(rates)}, whose inputs differ in "
                "size; use one projector per rate"
            )
        if per_rate:
            sizes = {str(rate): size for rate, size in zip(rates, input_sizes, strict=True)}
        else:
            sizes = {"shared": input_sizes[0]}
        self.projectors = nn.ModuleDict(
            {
                name: build_projector(
                    size, hidden_size, output_size, activation=activation, layer_norm=layer_norm
                )
                for name, size in sizes.items()
            }
        )

    def forward(self, features: Tensor, rate: int) -> Tensor:
        """Project [B, S, D] of a trained rate to [B, S, output_size]."""
        return self.projectors[str(rate) if self.per_rate else "shared"](features)

"""The joint experiment on decorrelation, Matryoshka training and normed projectors, as a list.

One YAML file defines it for every scale; recipes turn its cells into training runs.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avsr.errors import UsageError
from avsr.route import Stream

__all__ = ["Cell", "Experiment", "learning_rate", "load_experiment"]

_WARMUP_SHARE = 0.1  # of the steps of a cell

_FACTORS = ("training", "weight", "layer_norm", "bos", "layers")
_TRAININGS = ("matryoshka", "fixed")
_DEFAULTS: dict[str, Any] = {"bos": True, "layers": "paper"}

RatePair = tuple[int | None, int | None]  # audio, video; None for a stream that is not read


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training run.

    Attributes:
        training: "matryoshka": one model for all rate pairs; "fixed": one for each.
        rate_pairs: the (audio, video) rates it is trained and measured at, None for a stream that
            is not read. A Matryoshka run draws the two rates of a step independently of each
            other, as ``avsr train`` does.
        weight: of the decorrelation loss.
        layer_norm: projectors end with a LayerNorm.
        bos: the language model's input begins with BOS.
        layers: of the decorrelation loss, "paper" or "released", see
            :func:`avsr_adapters.decorrelated_layers`.
        seed: of everything drawn.
    """

    training: str
    rate_pairs: tuple[RatePair, ...]
    weight: float
    layer_norm: bool
    bos: bool
    layers: str = "paper"
    seed: int

    def rates(self, stream: Stream) -> list[int]:
        """Rates of one stream, finest first; none for a stream that is not read."""
        at = ("audio", "video").index(stream)
        return sorted({rate for pair in self.rate_pairs if (rate := pair[at]) is not None})

    @property
    def name(self) -> str:
        """A file name, such as ``matryoshka-w100-norm-s0`` or ``fixed-a16v5-w0-s2``."""
        parts = [self.training]
        if self.training == "fixed":
            named = zip("av", self.rate_pairs[0], strict=True)
            parts.append("".join(f"{letter}{rate}" for letter, rate in named if rate is not None))
        parts.append(f"w{self.weight:g}" if self.weight < 1e4 else f"w{int(self.weight)}")
        parts += ["norm"] * self.layer_norm + ["nobos"] * (not self.bos)
        parts += [self.layers] * (self.layers != "paper")
        return "-".join([*parts, f"s{self.seed}"])


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """All runs of one scale.

    Attributes:
        modalities: what each run learns and is measured on.
        rate_pairs: all (audio, video) rates.
        recycled_shares: of the sinks' attention, for the runs without decorrelation.
        cells: the runs, each once, in the order of the blocks.
    """

    modalities: tuple[str, ...]
    rate_pairs: tuple[RatePair, ...]
    recycled_shares: tuple[float, ...]
    cells: tuple[Cell, ...]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Of a cell's step, from 0: rises over the first tenth and falls linearly to nothing."""
    rise = min(1.0, (step + 1) / max(1.0, _WARMUP_SHARE * steps))
    return peak * rise * (1 - step / steps)


def load_experiment(path: str | Path, scale: str) -> Experiment:
    """Read a definition and expand the blocks of one scale.

    Raises:
        UsageError: the file is missing or malformed, or no block has this scale.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        pairs = _pairs(tree)
        cells: dict[str, Cell] = {}
        for block in tree["blocks"]:
            if scale in block["scales"]:
                for cell in _expand({"rate_pairs": pairs, "seeds": tree["seeds"]} | block):
                    cells.setdefault(cell.name, cell)
        experiment = Experiment(
            modalities=tuple(tree["modalities"]),
            rate_pairs=pairs,
            recycled_shares=tuple(tree["recycled_shares"]),
            cells=tuple(cells.values()),
        )
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot read this definition ({error})") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: not a definition of an experiment ({error!r})") from None
    if not cells:
        raise UsageError(f'{path}: no block of the scale "{scale}"')
    return experiment


def _pairs(tree: dict[str, Any]) -> tuple[RatePair, ...]:
    return tuple(
        (None if audio is None else int(audio), None if video is None else int(video))
        for audio, video in tree["rate_pairs"]
    )


def _expand(block: dict[str, Any]) -> list[Cell]:
    """The cells of a block; its rate pairs and seeds stand before those of the whole."""
    lists = [block.get(factor, [_DEFAULTS.get(factor, True)]) for factor in _FACTORS]
    unknown = set(block) - {*_FACTORS, "name", "scales", "rate_pairs", "seeds"}
    unknown |= set(block.get("training", ())) - set(_TRAININGS)
    if unknown or "training" not in block:
        raise ValueError(f"block {block.get('name')}: unknown {sorted(unknown)}, or no training")
    pairs = _pairs(block)
    cells = []
    for training, weight, layer_norm, bos, layers in itertools.product(*lists):
        trained = [pairs] if training == "matryoshka" else [(pair,) for pair in pairs]
        for own_pairs, seed in itertools.product(trained, list[int](block["seeds"])):
            cells.append(
                Cell(
                    training=training,
                    rate_pairs=own_pairs,
                    weight=float(weight),
                    layer_norm=layer_norm,
                    bos=bos,
                    layers=layers,
                    seed=seed,
                )
            )
    return cells

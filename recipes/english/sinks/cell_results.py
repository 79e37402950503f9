"""What the cells have measured, grouped by condition; differences in pairs of clip and seed."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from avsr import Route
from avsr.scoring.significance import bootstrap_intervals

MEASURES = {"nll": ("nll", "n_tokens", 1.0), "wer": ("errors", "n_words", 100.0)}


class Condition(NamedTuple):
    """What a cell was trained for, and the rates that it is measured at, 0 without a stream."""

    training: str
    weight: float
    layers: str
    rate: int
    video_rate: int = 0

    @property
    def rates(self) -> str:
        """Such as ``A4 V2``."""
        rates = {"audio_rate": self.rate or None, "video_rate": self.video_rate or None}
        return Route(modality="av", **rates).text


@dataclass(frozen=True)
class Change:
    """A difference: below 0 is better.

    Attributes:
        mean: over seeds.
        low: end of its 95 % interval, over clips.
        high: the other end.
        seeds: of each seed.
    """

    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]

    def shown(self, digits: int) -> str:
        """For a table, each seed's own behind the interval."""
        each = ", ".join(f"{value:+.{digits}f}" for value in self.seeds)
        mean, low, high = (f"{v:+.{digits}f}" for v in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high}; {each})"


class Results:
    """Rows of a folder of cells, measured on the same clips.

    Args:
        folder: of JSON files as ``train_cells.py`` and ``test_cells.py`` write them.
    """

    def __init__(self, folder: Path) -> None:
        self.cells = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        self._rows: dict[Condition, dict[int, dict[str, Any]]] = defaultdict(dict)
        for result in self.cells:
            cell = result["cell"]
            for row in result["rows"]:
                rates = (row["audio_rate"] or 0, row["video_rate"] or 0)
                key = Condition(cell["training"], cell["weight"], cell["layers"], *rates)
                self._rows[key][cell["seed"]] = row

    @property
    def conditions(self) -> list[Condition]:
        return sorted(self._rows)

    def seeds(self, key: Condition) -> list[int]:
        return sorted(self._rows[key])

    def value(self, key: Condition, measure: str) -> tuple[float, float, float]:
        """Mean over seeds of nats per token or WER in percent, and its 95 % interval."""
        counts, units, scale = self._counts(key, measure, self.seeds(key))
        low, high = scale * bootstrap_intervals(counts.mean(axis=0)[None], units)[0]
        return scale * float(counts.mean(axis=0).sum() / units.sum()), float(low), float(high)

    def has_words(self, key: Condition) -> bool:
        """Whether errors were counted."""
        return all("errors" in row for row in self._rows[key].values())

    def change(self, key: Condition, base: Condition, measure: str) -> Change | None:
        """``key`` less ``base`` over the seeds that both have; None where there are none."""
        if key not in self._rows or base not in self._rows:
            return None
        seeds = [seed for seed in self.seeds(key) if seed in self._rows[base]]
        if not seeds:
            return None
        (ours, units, scale), (theirs, _, _) = (
            self._counts(each, measure, seeds) for each in (key, base)
        )
        changes = ours - theirs
        low, high = scale * bootstrap_intervals(changes.mean(axis=0)[None], units)[0]
        each = scale * changes.sum(axis=1) / units.sum()
        return Change(float(each.mean()), float(low), float(high), tuple(each.tolist()))

    def each(self, key: Condition, name: str) -> list[float]:
        """A statistic of every seed."""
        return [self._rows[key][seed][name] for seed in self.seeds(key)]

    def mean(self, key: Condition, name: str) -> float:
        """A statistic's mean over seeds."""
        return float(np.mean(self.each(key, name)))

    def chosen_weights(self) -> dict[str, float]:
        """For each training the weight above 0 with the lowest nats, all rates together.

        Weights of the paper's layers with all the seeds that weight 0 has are compared; a
        training without any has none.
        """
        chosen = {}
        for training in {key.training for key in self._rows}:
            nats: dict[float, list[float]] = defaultdict(list)
            for key in self.conditions:
                whole = self._rows.get(key._replace(weight=0.0, layers="paper"), {}).keys()
                ours = key.training == training and key.layers == "paper"
                if ours and key.weight and self._rows[key].keys() >= whole:
                    nats[key.weight].append(self.value(key, "nll")[0])
            if nats:
                n_rates = max(map(len, nats.values()))
                sums = {weight: sum(each) for weight, each in nats.items() if len(each) == n_rates}
                chosen[training] = min(sums, key=lambda weight: sums[weight])
        return chosen

    def _counts(
        self, key: Condition, measure: str, seeds: list[int]
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """[seeds, clips] counts, [clips] units, and what their quotient is multiplied with."""
        counted, of, scale = MEASURES[measure]
        rows = [self._rows[key][seed] for seed in seeds]
        return np.array([row[counted] for row in rows]), np.array(rows[0][of]), scale

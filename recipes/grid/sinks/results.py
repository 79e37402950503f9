"""What the cells of the miniature experiment have measured, grouped by what a table needs."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

DRAWS = 20_000  # of clips, for intervals
SWEPT = ("matryoshka", False, True, "plain")  # training, LayerNorm, BOS, variant: any weight
Pair = tuple[str, int | None, int]  # modality, audio rate, video rate
Key = tuple[str, float, bool, bool, str, str, int | None, int]


def load_cells(work: Path) -> list[dict[str, Any]]:
    """All results that there are, in the order of their names."""
    return [json.loads(path.read_text()) for path in sorted((work / "cells").glob("*.json"))]


def load_curves(work: Path) -> dict[str, list[dict[str, float]]]:
    """The measurements during pre-training, by language model."""
    logs = sorted((work / "language_models").glob("*/log.jsonl"))
    return {p.parent.name: [json.loads(line) for line in p.open()] for p in logs}


class Results:
    """Rows of all cells, grouped by what a table needs."""

    def __init__(self, cells: list[dict[str, Any]]) -> None:
        self._rows: dict[Key, dict[int, list[dict[str, Any]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.settings = sorted({json.dumps(cell["settings"]) for cell in cells})
        self.corpora = sorted({row["corpus"] for cell in cells for row in cell["rows"]})
        for result in cells:
            cell = result["cell"]
            for row in result["rows"]:
                key = (
                    cell["training"], cell["weight"], cell["layer_norm"], cell["bos"],
                    row["variant"], row["modality"], row["audio_rate"], row["video_rate"],
                )  # fmt: skip
                self._rows[key][cell["seed"]].append(row)

    def conditions(self) -> list[Key]:
        """Training, weight, LayerNorm, BOS, variant, modality and rates of every row."""
        return sorted(self._rows, key=str)

    def n_seeds(self, key: Key) -> int:
        return len(self._rows.get(key, {}))

    def wer(self, key: Key) -> str:
        """Mean over seeds and its interval, in percent."""
        interval = self.interval(key)
        if interval is None:
            return "-"
        mean, low, high = interval
        errors, words = self._counts(key)
        each = 100 * errors.sum(axis=1) / words.sum()
        spread = f"; seeds {each.min():.1f}-{each.max():.1f}" if len(each) > 1 else ""
        return f"{mean:.1f} ({low:.1f}-{high:.1f}{spread})"

    def interval(self, key: Key) -> tuple[float, float, float] | None:
        """Mean WER over seeds and the ends of its interval over clips, in percent."""
        if key not in self._rows:
            return None
        errors, words = self._counts(key)
        low, high = np.percentile(_drawn_rates(errors.mean(axis=0), words), [2.5, 97.5])
        return 100 * float(errors.sum(axis=1).mean() / words.sum()), float(low), float(high)

    def difference(self, key: Key, base: Key, n_comparisons: int) -> str:
        """WER of ``key`` less that of ``base``, in points, in pairs of clip and seed.

        Args:
            key: a condition.
            base: what it is compared with.
            n_comparisons: of the table: a star says that the interval at 5 % divided by this
                number (Bonferroni) still leaves out 0.
        """
        if key not in self._rows or base not in self._rows:
            return "-"
        if self._rows[key].keys() != self._rows[base].keys():  # not the same seeds yet
            return "-"
        (errors, words), (base_errors, _) = self._counts(key), self._counts(base)
        changes = errors - base_errors
        drawn = _drawn_rates(changes.mean(axis=0), words)
        low, high = np.percentile(drawn, [2.5, 97.5])
        tail = 2.5 / n_comparisons
        strict_low, strict_high = np.percentile(drawn, [tail, 100 - tail])
        each = 100 * changes.sum(axis=1) / words.sum()
        star = " *" if strict_low > 0 or strict_high < 0 else ""
        spread = f"; seeds {each.min():+.1f} to {each.max():+.1f}" if len(each) > 1 else ""
        return f"{each.mean():+.1f} ({low:+.1f} to {high:+.1f}{spread}){star}"

    def _counts(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """Errors [seeds, clips] and words [clips]."""
        seeds = [rows for _, rows in sorted(self._rows[key].items())]
        errors = np.array([np.concatenate([row["errors"] for row in rows]) for rows in seeds])
        return errors, np.concatenate([row["n_words"] for row in seeds[0]])

    def mean(self, key: Key, name: str) -> float | None:
        """Mean of a statistic over seeds and corpora."""
        rows = [row for rows in self._rows.get(key, {}).values() for row in rows]
        values = [row[name] for row in rows if name in row]
        return float(np.mean(values)) if values else None

    def shown_mean(self, key: Key, name: str, digits: int = 2) -> str:
        """The same for a table."""
        value = self.mean(key, name)
        return "-" if value is None else f"{value:.{digits}f}"


def pairs_of(results: Results) -> list[Pair]:
    """Modality and rates, lips after both."""
    found = {key[5:] for key in results.conditions()}
    return sorted(found, key=lambda item: (item[0], item[2]))


def weights_of(results: Results) -> list[float]:
    """Weights that Matryoshka models without norms were trained with."""
    return sorted({k[1] for k in results.conditions() if (k[0], *k[2:5]) == SWEPT})


def shown(pair: Pair) -> str:
    modality, audio, video = pair
    return f"av ({audio},{video})" if modality == "av" else f"video {video}"


def _drawn_rates(errors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """[DRAWS] errors per word, in percent, of clips drawn anew."""
    generator = np.random.default_rng(0)
    weights = generator.multinomial(len(words), np.full(len(words), 1 / len(words)), size=DRAWS)
    return 100 * (weights @ errors) / (weights @ words)

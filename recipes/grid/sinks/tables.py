"""Tables and the curve of the miniature experiment, from the results of run.py.

    python recipes/grid/sinks/tables.py --work DIR [--out DIR]
    python recipes/grid/sinks/tables.py --work DIR --compare OTHER

writes ``results.md`` and ``emergence.png``. WER is over all development clips; its 95 % interval
comes from drawing the clips anew 2000 times (the same draw for all seeds of a row) and holds for
the mean over seeds. ``--compare`` checks that two runs have given the same numbers.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

DRAWS = 2000
STYLES = (
    ("#D55E00", "-", "o"), ("#0072B2", "--", "s"), ("#009E73", "-.", "^"), ("#CC79A7", ":", "D"),
    ("#000000", "-", "x"), ("#E69F00", "--", "v"), ("#56B4E9", "-.", "P"),
)  # fmt: skip


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
        self._rows: dict[tuple, dict[int, list[dict[str, Any]]]] = defaultdict(
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

    def conditions(self) -> list[tuple]:
        """Training, weight, LayerNorm, BOS, variant, modality and rates of every row."""
        return sorted(self._rows, key=str)

    def n_seeds(self, key: tuple) -> int:
        return len(self._rows.get(key, {}))

    def wer(self, key: tuple) -> str:
        """Mean over seeds and its interval, in percent."""
        seeds = self._rows.get(key)
        if not seeds:
            return "-"
        errors = np.array([np.concatenate([r["errors"] for r in rows]) for rows in seeds.values()])
        words = np.concatenate([row["n_words"] for row in next(iter(seeds.values()))])
        drawn = np.random.default_rng(0).integers(len(words), size=(DRAWS, len(words)))
        rates = errors.mean(axis=0)[drawn].sum(axis=1) / words[drawn].sum(axis=1)
        low, high = np.percentile(100 * rates, [2.5, 97.5])
        each = 100 * errors.sum(axis=1) / words.sum()
        spread = f"; seeds {each.min():.1f}-{each.max():.1f}" if len(each) > 1 else ""
        return f"{each.mean():.1f} ({low:.1f}-{high:.1f}{spread})"

    def mean(self, key: tuple, name: str, digits: int = 2) -> str:
        """Mean of a statistic over seeds and corpora."""
        rows = [row for rows in self._rows.get(key, {}).values() for row in rows]
        values = [row[name] for row in rows if name in row]
        return f"{np.mean(values):.{digits}f}" if values else "-"


def pairs_of(results: Results) -> list[tuple[str, int | None, int]]:
    """Modality and rates, lips after both."""
    found = {key[5:] for key in results.conditions()}
    return sorted(found, key=lambda item: (item[0], item[2]))


def shown(pair: tuple[str, int | None, int]) -> str:
    modality, audio, video = pair
    return f"av ({audio},{video})" if modality == "av" else f"video {video}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def sweep_table(results: Results) -> str:
    pairs = pairs_of(results)
    weights = sorted({key[1] for key in results.conditions()})
    rows = []
    for weight in weights:
        keys = [("matryoshka", weight, False, True, "plain", *pair) for pair in pairs]
        if any(results.n_seeds(key) for key in keys):
            rows.append([f"{weight:g}", *(results.wer(key) for key in keys)])
    return table(["weight", *map(shown, pairs)], rows)


def joint_table(results: Results) -> str:
    pairs = pairs_of(results)
    conditions = sorted({key[:3] for key in results.conditions() if key[3]}, key=str)
    rows = []
    for training, weight, norm in conditions:
        keys = [(training, weight, norm, True, "plain", *pair) for pair in pairs]
        if weight in (0, 100) and any(results.n_seeds(key) for key in keys):
            name = [training, f"{weight:g}", "yes" if norm else "no"]
            rows.append([*name, *(results.wer(key) for key in keys)])
    return table(["training", "weight", "LayerNorm", *map(shown, pairs)], rows)


def sink_table(results: Results) -> str:
    header = [
        "training", "weight", "LayerNorm", "BOS", "input", "first is sink", "attention to first",
        "other sinks per layer", "other sink tokens", "largest activation", "mean cos²",
        "mean |cos|", "seeds",
    ]  # fmt: skip
    rows = []
    for key in results.conditions():
        training, weight, norm, bos, variant, *pair = key
        if variant != "plain":
            continue
        rows.append([
            training, f"{weight:g}", "yes" if norm else "no", "yes" if bos else "no",
            shown((pair[0], pair[1], pair[2])), results.mean(key, "first_is_sink"),
            results.mean(key, "first_attention", 3), results.mean(key, "other_sinks"),
            results.mean(key, "other_sink_tokens"), results.mean(key, "peak", 0),
            results.mean(key, "cosine", 4), results.mean(key, "cosine_abs", 3),
            str(results.n_seeds(key)),
        ])  # fmt: skip
    return table(header, rows)


def variant_table(results: Results) -> str:
    pairs = pairs_of(results)
    chosen = {key[:5] for key in results.conditions() if key[4] != "plain"}
    plain = {(*key[:4], "plain") for key in chosen}
    rows = []
    for condition in sorted(chosen | plain, key=lambda key: (str(key[:4]), key[4] != "plain", key)):
        training, weight, norm, bos, variant = condition
        name = [training, f"{weight:g}", "yes" if norm else "no", "yes" if bos else "no", variant]
        rows.append([*name, *(results.wer((*condition, *pair)) for pair in pairs)])
    return table(["training", "weight", "LayerNorm", "BOS", "variant", *map(shown, pairs)], rows)


def emergence_table(curves: dict[str, list[dict[str, float]]]) -> str:
    rows = []
    for name, lines in sorted(curves.items()):
        last = lines[-1]
        for kind in ("text", "speech"):
            if f"loss_{kind}" in last:
                rows.append([
                    name, kind, str(last["step"]), f"{last[f'loss_{kind}']:.2f}",
                    f"{last[f'first_attention_{kind}']:.3f}",
                    f"{last[f'first_is_sink_{kind}']:.2f}",
                    f"{last[f'other_sink_tokens_{kind}']:.2f}", f"{last[f'peak_{kind}']:.0f}",
                    f"{last[f'peak_others_{kind}']:.0f}",
                ])  # fmt: skip
    header = [
        "layers x width", "data", "steps", "loss", "attention to first", "first is sink",
        "other sink tokens", "largest activation", "without the first",
    ]  # fmt: skip
    return table(header, rows)


def draw_emergence(curves: dict[str, list[dict[str, float]]]) -> Figure:
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for column, kind in enumerate(("text", "speech")):
        for (name, lines), (colour, style, marker) in zip(
            sorted(curves.items()), STYLES, strict=False
        ):
            for row, value in enumerate(("first_attention", "peak")):
                known = [line for line in lines if f"{value}_{kind}" in line]
                if known:
                    panels[row, column].plot(
                        [line["step"] for line in known],
                        [line[f"{value}_{kind}"] for line in known],
                        color=colour, linestyle=style, marker=marker, markersize=4, label=name,
                    )  # fmt: skip
        panels[0, column].set_title({"text": "toy language", "speech": "sentences"}[kind])
        panels[0, column].set_ylabel("attention to the first token")
        panels[1, column].set_ylabel("largest activation / median")
        panels[1, column].set_yscale("log")
        panels[1, column].set_xlabel("steps of pre-training")
    panels[0, 0].legend(title="layers x width", fontsize=8)
    return figure


def compare(work: Path, other: Path) -> int:
    """0 if all cells that both have are equal; says which are not."""
    names = {p.name for p in (work / "cells").glob("*.json")}
    names &= {p.name for p in (other / "cells").glob("*.json")}
    different = [
        name
        for name in sorted(names)
        if (work / "cells" / name).read_bytes() != (other / "cells" / name).read_bytes()
    ]
    print(f"{len(names)} cells in both, {len(different)} differ", *different)
    return 1 if different or not names else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--compare", type=Path)
    args = parser.parse_args()
    if args.compare is not None:
        sys.exit(compare(args.work, args.compare))
    curves, results = load_curves(args.work), Results(load_cells(args.work))
    parts = [
        "# Results of the miniature sinks experiment\n\nMade by `tables.py`; what they mean is in "
        f"[README.md](README.md). Clips: {', '.join(results.corpora)}. Training: "
        f"{'; '.join(results.settings)}. WER in %, mean over seeds (95 % interval over clips; "
        "range over seeds).\n",
        "## When sinks arise\n", emergence_table(curves), "![curve](emergence.png)\n",
        "## Weight of the decorrelation loss\n", sweep_table(results),
        "## Matryoshka x decorrelation x LayerNorm\n", joint_table(results),
        "## Without training\n", variant_table(results),
        "## Sinks and cosines\n", sink_table(results),
    ]  # fmt: skip
    (args.out / "results.md").write_text("\n".join(parts), encoding="utf-8")
    draw_emergence(curves).savefig(args.out / "emergence.png", dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()

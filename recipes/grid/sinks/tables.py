"""Tables and figures of the miniature experiment, from the results of run.py.

    python recipes/grid/sinks/tables.py --work DIR [--out DIR]
    python recipes/grid/sinks/tables.py --work DIR --compare OTHER

writes ``results.md``, ``emergence.png`` and ``weights.png``. WER is over all development clips; its
95 % interval comes from drawing the clips anew (the same draw for all seeds of a row) and holds for
the mean over seeds. Differences are paired by clip and seed. ``--compare`` checks that two runs
have given the same numbers.
"""

import argparse
import sys
from pathlib import Path

from draw import draw_emergence, draw_weights
from results import Results, load_cells, load_curves, pairs_of, shown, weights_of

Condition = tuple[str, float, bool, bool, str]  # training, weight, LayerNorm, BOS, variant


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def sweep_table(results: Results) -> str:
    pairs = pairs_of(results)
    rows = []
    for weight in weights_of(results):
        keys = [("matryoshka", weight, False, True, "plain", *pair) for pair in pairs]
        rows.append([f"{weight:g}", *(results.wer(key) for key in keys)])
    return table(["weight", *map(shown, pairs)], rows)


def difference_table(results: Results) -> str:
    """What each choice changes, all else equal: WER in points, below 0 is better."""
    pairs = pairs_of(results)
    rows = _compared(results)
    n_comparisons = len(rows) * len(pairs)
    lines = [
        [
            name,
            *(results.difference((*ours, *pair), (*base, *pair), n_comparisons) for pair in pairs),
        ]
        for ours, base, name in rows
    ]
    note = f"* also at 5 % divided by the {n_comparisons} comparisons of this table.\n\n"
    return table(["change", *map(shown, pairs)], lines) + note


def _compared(results: Results) -> list[tuple[Condition, Condition, str]]:
    known = {key[:5] for key in results.conditions()}
    found = []
    for condition in sorted(known, key=str):
        training, weight, norm, bos, variant = condition
        where = f"{training}{', LayerNorm' if norm else ''}{'' if bos else ', no BOS'}"
        if variant != "plain":
            base = (training, weight, norm, bos, "plain")
            found.append((condition, base, f"{variant} ({where}, weight {weight:g})"))
            continue
        if weight:
            base = (training, 0, norm, bos, variant)
            found.append((condition, base, f"weight {weight:g} ({where})"))
        if norm:
            base = (training, weight, False, bos, variant)
            found.append((condition, base, f"LayerNorm ({training}, weight {weight:g})"))
        if training == "matryoshka":
            base = ("fixed", weight, norm, bos, variant)
            name = f"Matryoshka for fixed rates (weight {weight:g}{', LayerNorm' if norm else ''})"
            found.append((condition, base, name))
    return [row for row in found if row[1] in known]


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
        training, weight, norm, bos, variant = key[:5]
        if variant != "plain":
            continue
        rows.append([
            training, f"{weight:g}", "yes" if norm else "no", "yes" if bos else "no",
            shown(key[5:]), results.shown_mean(key, "first_is_sink"),
            results.shown_mean(key, "first_attention", 3), results.shown_mean(key, "other_sinks"),
            results.shown_mean(key, "other_sink_tokens"), results.shown_mean(key, "peak", 0),
            results.shown_mean(key, "cosine", 4), results.shown_mean(key, "cosine_abs", 3),
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
        taken = [results.mean((*condition, *pair), "recycled_tokens") for pair in pairs]
        known = [value for value in taken if value is not None]
        name.append(f"{min(known):.2f}-{max(known):.2f}" if known else "-")
        rows.append([*name, *(results.wer((*condition, *pair)) for pair in pairs)])
    header = ["training", "weight", "LayerNorm", "BOS", "variant", "recycled tokens"]
    return table([*header, *map(shown, pairs)], rows)


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
        "![WER, cosine and sinks against the weight](weights.png)\n",
        "## Matryoshka x decorrelation x LayerNorm\n", joint_table(results),
        "## Without training\n", variant_table(results),
        "## Differences\n", difference_table(results),
        "## Sinks and cosines\n", sink_table(results),
    ]  # fmt: skip
    (args.out / "results.md").write_text("\n".join(parts), encoding="utf-8")
    figures = {"emergence": draw_emergence(curves), "weights": draw_weights(results)}
    for name, figure in figures.items():
        figure.savefig(args.out / f"{name}.png", dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()

"""Tables and figure of the experiment: python recipes/english/sinks/cell_tables.py --work DIR

Writes ``results.md`` and ``weights.png`` beside the cells, or to ``--out``. Same cells, same bytes.
"""

import argparse
from pathlib import Path

from cell_results import Condition, Results
from free_tables import before_after_table, free_table, table
from matplotlib.figure import Figure

STYLES = (
    ("#D55E00", "-", "o"),
    ("#0072B2", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#707070", ":", "D"),
)
SINK_COLUMNS = {  # statistic: heading, digits
    "first_attention": ("attention to BOS", 3),
    "first_is_sink": ("BOS a sink in layers", 2),
    "sinks_marker": ("marker sinks", 2),
    "sinks_audio": ("audio sinks", 2),
    "sinks_prompt": ("prompt sinks", 2),
    "peak": ("largest activation", 0),
    "peak_others": ("without BOS", 0),
    "cosine": ("cos², layers 2 to L-1", 4),
    "cosine_released": ("cos², 1 to L-1", 4),
}


def named(key: Condition) -> list[str]:
    layers = "" if key.layers == "paper" else f" ({key.layers} layers)"
    return [key.training, f"{key.weight:g}{layers}", f"A{key.rate}"]


def value_table(results: Results) -> str:
    """Nats per token, and WER where it was measured, of every condition."""
    rows = []
    for key in results.conditions:
        row = [*named(key), str(len(results.seeds(key)))]
        row.append("{:.3f} ({:.3f}-{:.3f})".format(*results.value(key, "nll")))
        if results.has_words(key):
            row.append("{:.1f} ({:.1f}-{:.1f})".format(*results.value(key, "wer")))
        rows.append(row)
    header = ["training", "weight", "rate", "seeds", "nats per token", "WER %"]
    return table(header[: max(map(len, rows))], rows)


def change_table(results: Results) -> str:
    """What each choice changes, all else equal; each seed's own change at the end."""
    rows = []
    for key in results.conditions:
        for name, base in bases_of(key).items():
            nats = results.change(key, base, "nll")
            if nats is None:
                continue
            row = [*named(key), name, nats.shown(3)]
            if results.has_words(key) and (wer := results.change(key, base, "wer")) is not None:
                row.append(wer.shown(1))
            rows.append(row)
    header = ["training", "weight", "rate", "against", "nats per token", "WER, points"]
    return table(header[: max(map(len, rows), default=5)], rows)


def bases_of(key: Condition) -> dict[str, Condition]:
    """What a condition is compared with, by name."""
    bases = {}
    if key.weight:
        bases["weight 0"] = key._replace(weight=0.0, layers="paper")
    if key.layers != "paper":
        bases["the paper's layers"] = key._replace(layers="paper")
    if key.training == "matryoshka":
        bases["fixed rate"] = key._replace(training="fixed")
    return bases


def sink_table(results: Results) -> str:
    rows = [
        [*named(key), *(f"{results.mean(key, n):.{d}f}" for n, (_, d) in SINK_COLUMNS.items())]
        for key in results.conditions
    ]
    header = ["training", "weight", "rate", *(name for name, _ in SINK_COLUMNS.values())]
    return table(header, rows)


def gradient_table(results: Results) -> str:
    """The loss's share of a step's gradient, in the first, middle and last step."""
    rows = []
    for result in results.cells:
        lines = [line for line in result["log"] if "share" in line]
        if lines:
            shares = [f"{line['share']:.3f} (A{line['rate']})" for line in lines]
            likeness = [f"{line['likeness']:+.2f}" for line in lines]
            layers = result["cell"]["layers"]
            name = f"{result['cell']['training']} {result['cell']['weight']:g} {layers}"
            rows.append([
                name, str(result["cell"]["seed"]), ", ".join(shares), ", ".join(likeness),
            ])  # fmt: skip
    return table(["cell", "seed", "share: first, middle, last step", "cosine to the texts'"], rows)


def draw(results: Results) -> Figure:
    """Nats and cosine against the weight."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    lines: dict[tuple[str, int], list[Condition]] = {}
    for key in results.conditions:
        if key.layers == "paper":
            lines.setdefault((key.training, key.rate), []).append(key)
    for ((training, rate), keys), (colour, style, marker) in zip(
        sorted(lines.items()), STYLES, strict=False
    ):
        weights = [max(key.weight, 0.1) for key in keys]
        look = {"color": colour, "linestyle": style, "marker": marker, "markersize": 5}
        values = [results.value(key, "nll") for key in keys]
        spread = [
            [mean - low for mean, low, _ in values], [high - mean for mean, _, high in values]
        ]  # fmt: skip
        name = f"{training}, A{rate}"
        left.errorbar(weights, [v[0] for v in values], spread, label=name, capsize=3, **look)
        right.plot(weights, [results.mean(key, "cosine") for key in keys], label=name, **look)
    for axes, name in ((left, "nats per token"), (right, "mean cos² to BOS")):
        axes.set_xscale("log")
        axes.set_xlabel("weight of the decorrelation loss (0 drawn at 0.1)")
        axes.set_ylabel(name)
    right.set_yscale("log")
    left.legend(fontsize=8, frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", type=Path, help="default: --work")
    args = parser.parse_args()
    out = args.out or args.work
    dev, test = Results(args.work / "cells"), Results(args.work / "tests")
    settings = sorted({str(result["settings"]) for result in dev.cells})
    text = (
        "# Results\n\nWritten by `cell_tables.py`. 95 % intervals over clips, the mean over seeds; "
        "of changes, the single seeds follow.\n\n"
        f"Settings: {'; '.join(settings)}\n\n"
        f"## Development clips\n\n{value_table(dev)}"
        f"## What each choice changes\n\n{change_table(dev)}"
        f"## Sinks\n\nMeans over clips; sinks of a kind: tokens that are one in any layer "
        f"from 2 on.\n\n{sink_table(dev)}"
        f"## The loss's share of the gradient\n\n{gradient_table(dev)}"
    )
    if test.cells:
        text += (
            f"## Test clips\n\nWeight 0 and the weights chosen on development clips, once.\n\n"
            f"{value_table(test)}{change_table(test)}"
        )
    if (args.work / "before_after.json").exists():
        shown = before_after_table(args.work / "before_after.json")
        text += f"## Before and after fine-tuning\n\n{shown}"
    for name in ("dev", "test"):
        if (args.work / f"free_{name}.json").exists():
            shown = free_table(args.work / f"free_{name}.json")
            text += f"## Without training: {name} clips\n\n{shown}"
    (out / "results.md").write_text(text, encoding="utf-8")
    draw(dev).savefig(out / "weights.png", dpi=160, metadata={"Software": None})


if __name__ == "__main__":
    main()

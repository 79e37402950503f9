"""Tables and figures of the experiment: python recipes/english/sinks/cell_tables.py --work DIR

Writes ``results.md``, ``weights.png`` and ``tokens.png`` beside the cells, or to ``--out``. Same
cells, same bytes.
"""

import argparse
import json
from pathlib import Path

from cell_figures import draw_tokens, draw_weights
from cell_results import Condition, Results
from free_tables import before_after_table, free_table, table

FREE = {"dev": "clean", "dev_babble": "babble, 0 dB"}  # files and what they are called
SINK_COLUMNS = {  # statistic: heading, digits
    "first_attention": ("attention to BOS", 3),
    "first_is_sink": ("BOS a sink in layers", 2),
    "sinks_marker": ("marker sinks", 2),
    "sinks_audio": ("audio sinks", 2),
    "sinks_video": ("video sinks", 2),
    "sinks_prompt": ("prompt sinks", 2),
    "peak": ("largest activation", 0),
    "peak_others": ("without BOS", 0),
    "cosine": ("cos², layers 2 to L-1", 4),
    "cosine_released": ("cos², 1 to L-1", 4),
}


def named(key: Condition) -> list[str]:
    layers = "" if key.layers == "paper" else f" ({key.layers} layers)"
    return [key.training, f"{key.weight:g}{layers}", key.rates]


def value_table(results: Results) -> str:
    """Nats per token, and WER where it was measured, of every condition."""
    rows = []
    for key in results.conditions:
        row = [*named(key), str(len(results.seeds(key)))]
        row.append("{:.3f} ({:.3f}-{:.3f})".format(*results.value(key, "nll")))
        if results.has_words(key):
            row.append("{:.1f} ({:.1f}-{:.1f})".format(*results.value(key, "wer")))
        rows.append(row)
    header = ["training", "weight", "rates", "seeds", "nats per token", "WER %"]
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
    header = ["training", "weight", "rates", "against", "nats per token", "WER, points"]
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
    header = ["training", "weight", "rates", *(name for name, _ in SINK_COLUMNS.values())]
    return table(header, rows)


def gradient_table(results: Results) -> str:
    """The loss's share of a step's gradient, in the first, middle and last step."""
    rows = []
    for result in results.cells:
        lines = [line for line in result["log"] if "share" in line]
        if lines:
            shares = [f"{line['share']:.3f} ({line['rates']})" for line in lines]
            likeness = [f"{line['likeness']:+.2f}" for line in lines]
            layers = result["cell"]["layers"]
            name = f"{result['cell']['training']} {result['cell']['weight']:g} {layers}"
            rows.append([
                name, str(result["cell"]["seed"]), ", ".join(shares), ", ".join(likeness),
            ])  # fmt: skip
    return table(["cell", "seed", "share: first, middle, last step", "cosine to the texts'"], rows)


def cells_part(results: Results) -> str:
    """All tables of the cells that were measured on the same development clips."""
    settings = sorted({str(result["settings"]) for result in results.cells})
    return (
        f"Settings: {'; '.join(settings)}\n\n{value_table(results)}"
        f"### What each choice changes\n\n{change_table(results)}"
        "### Sinks\n\nMeans over clips; sinks of a kind: tokens that are one in any layer from 2 "
        f"on.\n\n{sink_table(results)}"
        f"### The loss's share of the gradient\n\n{gradient_table(results)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", type=Path, help="default: --work")
    args = parser.parse_args()
    work, out = args.work, args.out or args.work
    dev, lips, test = (Results(work / name) for name in ("cells", "lips_cells", "tests"))
    text = (
        "# Results\n\nWritten by `cell_tables.py`. 95 % intervals over clips, the mean over seeds; "
        f"of changes, the single seeds follow.\n\n## Sound, development clips\n\n{cells_part(dev)}"
    )
    if test.cells:
        text += (
            "## Sound, test clips\n\nWeight 0 and the weight above 0 that is best on development "
            f"clips, once.\n\n{value_table(test)}{change_table(test)}"
        )
    if lips.cells:
        text += f"## Sound and lips, development clips of GRID\n\n{cells_part(lips)}"
    for name, heading in (("before_after", "sound"), ("lips_before_after", "sound and lips")):
        if (work / f"{name}.json").exists():
            shown = before_after_table(work / f"{name}.json")
            text += f"## Before and after fine-tuning: {heading}\n\n{shown}"
    free = {}
    for name, heading in FREE.items():
        file = work / f"free_{name}.json"
        if file.exists():
            text += f"## Without training: {heading}\n\n{free_table(file)}"
            free[heading] = json.loads(file.read_text())
    (out / "results.md").write_text(text, encoding="utf-8")
    draw_weights(dev).savefig(out / "weights.png", dpi=160, metadata={"Software": None})
    if free:
        draw_tokens(free).savefig(out / "tokens.png", dpi=160, metadata={"Software": None})


if __name__ == "__main__":
    main()

"""Tables and figures of the experiment: python recipes/english/sinks/cell_tables.py --work DIR

Writes ``results.md``, ``weights.png`` and ``tokens.png`` of sound, and ``lips_results.md`` and
``lips_weights.png`` of sound and lips, beside the cells or to ``--out``; each only where there is
something to show. Same cells, same bytes.
"""

import argparse
import json
from pathlib import Path

from cell_figures import draw_tokens, draw_weights
from cell_results import Condition, Results
from free_tables import before_after_table, free_table, table
from matplotlib.figure import Figure

CLEAN, BABBLE = "clean", "babble, 0 dB"
SOUND = {"free_dev": CLEAN, "free_dev_babble": BABBLE}  # files and what they are called
LIPS = {
    "lips_free_plain": CLEAN,
    "lips_free_babble": BABBLE,
    "s31_free_plain": f"speaker 31, {CLEAN}",
    "s31_free_babble": f"speaker 31, {BABBLE}",
}
INTRODUCTION = (
    "Written by `cell_tables.py`. 95 % intervals over clips, the mean over seeds; of changes, the "
    "single seeds follow."
)
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


def document(work: Path, prefix: str, heading: str, free: dict[str, str]) -> str:
    """All tables of sound, or of sound and lips; empty where nothing was measured.

    Args:
        work: as ``run.py`` fills it.
        prefix: of the names there.
        heading: what was heard and seen.
        free: files of what needs no training, and what they are called.
    """
    dev, test = (Results(work / f"{prefix}{name}") for name in ("cells", "tests"))
    before_after = work / f"{prefix}before_after.json"
    text = ""
    if dev.cells:
        text += f"## {heading}, development clips\n\n{cells_part(dev)}"
    if test.cells:
        text += (
            f"## {heading}, test clips\n\nWeight 0 and the weight above 0 that is best on "
            f"development clips, once.\n\n{value_table(test)}{change_table(test)}"
        )
    if before_after.exists():
        shown = before_after_table(before_after)
        text += f"## Before and after fine-tuning: {heading.lower()}\n\n{shown}"
    for name, condition in free.items():
        if (file := work / f"{name}.json").exists():
            text += f"## Without training: {condition}\n\n{free_table(file)}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", type=Path, help="default: --work")
    args = parser.parse_args()
    work, out = args.work, args.out or args.work
    parts = (("", "Sound", SOUND), ("lips_", "Sound and lips", LIPS))
    for prefix, heading, free in parts:
        if text := document(work, prefix, heading, free):
            target = out / f"{prefix}results.md"
            target.write_text(f"# Results\n\n{INTRODUCTION}\n\n{text}", encoding="utf-8")
        cells = Results(work / f"{prefix}cells")
        if cells.cells:
            _save(draw_weights(cells), out / f"{prefix}weights.png")
    found = {
        condition: json.loads(file.read_text())
        for name, condition in SOUND.items()
        if (file := work / f"{name}.json").exists()
    }
    if found:
        _save(draw_tokens(found), out / "tokens.png")


def _save(figure: Figure, target: Path) -> None:
    figure.savefig(target, dpi=160, metadata={"Software": None})


if __name__ == "__main__":
    main()

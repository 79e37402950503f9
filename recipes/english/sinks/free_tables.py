"""Tables of what needs no training, out of the files of before_after.py and training_free.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from token_reduction import REDUCTIONS

from avsr.scoring.significance import bootstrap_intervals


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def before_after_table(file: Path) -> str:
    """Tokens that are sinks before and after fine-tuning."""
    found: dict[str, dict[str, Any]] = json.loads(file.read_text())
    places = {name.partition(" ")[2] for name in found}
    rows = []
    for place in sorted(places):
        states = [found[f"{state} {place}"] for state in ("before", "after")]
        rate, _, token = place.partition(", ")
        if token == "loss":
            values = [f"{state['cosine']:.3f}" for state in states]
            rows.append([rate, "mean cos², layers 2 to L-1", *values, *[""] * 6])
        elif token.startswith("<") or max(state["sinks"] for state in states) >= 0.2:
            rows.append([
                rate, f"`{token}`",
                *(f"{state[key]:.2f}" for key in ("sinks", "early", "late") for state in states),
                *(layers_of(state["layers"]) for state in states),
            ])  # fmt: skip
    header = [
        "rate", "token", "sinks a clip, before", "after", "attention in 3-10, before", "after",
        "in 13-30, before", "after", "layers, before", "after",
    ]  # fmt: skip
    return table(header, rows)


def layers_of(shares: list[float]) -> str:
    """The layers in which a token is a sink in at least half of the clips, such as ``3-10, 13``."""
    layers = [layer for layer, share in enumerate(shares, start=1) if share >= 0.5]
    runs: list[list[int]] = []
    for layer in layers:
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def free_table(file: Path) -> str:
    """Each variant against the plain reading at its rate, and against another one with as many
    tokens where there is one, see :func:`equally_long`."""
    found: dict[str, Any] = json.loads(file.read_text())
    units, seconds = np.array(found["n_tokens"]), sum(found["seconds"])
    variants = {name: np.array(v["nll"]) for name, v in found["variants"].items()}
    rows = []
    for name, nats in variants.items():
        rate, _, variant = name.rpartition(" ")
        per_s = sum(found["variants"][name]["n_streamed"]) / seconds
        bases = {} if variant == "plain" else {"plain": f"{rate} plain"}
        if (equal := equally_long(name)) in variants:
            bases["equal"] = equal
        changes = [_change(nats - variants[base], units) for base in bases.values()]
        low, high = bootstrap_intervals(nats[None], units)[0]
        value = f"{nats.sum() / units.sum():.3f} ({low:.3f}-{high:.3f})"
        errors = found["variants"][name].get("errors")
        wer = f"{100 * sum(errors) / sum(found['n_words']):.1f}" if errors else "-"
        rows.append([rate, variant, f"{per_s:.1f}", value, *[*changes, "", ""][:2], wer])
    header = [
        "rate",
        "variant",
        "tokens/s",
        "nats per token",
        "against plain",
        "against as many tokens of A16 or of equal halves",
        "WER %",
    ]
    return table(header, rows)


def equally_long(name: str) -> str:
    """Another variant with as many tokens; "" for none.

    For a reduction of rate 4 what rate 16 makes, for halves split between sound and lips those in
    which each stream is halved.
    """
    rate, _, variant = name.rpartition(" ")
    kind, _, factor = variant.partition("-")
    if kind == "split":
        return f"{rate} diverse-2"
    if rate != "A4" or kind not in REDUCTIONS or factor not in ("4", "8"):
        return ""
    return "A16 plain" if factor == "4" else f"A16 {kind}-2"


def _change(nats: np.ndarray, units: np.ndarray) -> str:
    low, high = bootstrap_intervals(nats[None], units)[0]
    return f"{nats.sum() / units.sum():+.3f} ({low:+.3f} to {high:+.3f})"

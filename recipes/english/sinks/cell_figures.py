"""Figures of the experiment, for :mod:`cell_tables`."""

from typing import Any

import numpy as np
from cell_results import Condition, Results
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avsr.scoring.significance import bootstrap_intervals

STYLES = (
    ("#D55E00", "-", "o"),
    ("#0072B2", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#707070", ":", "D"),
)
CURVES = {"merged": "neighbours merged", "diverse": "most different kept", "pooled": "means"}


def draw_weights(results: Results) -> Figure:
    """What the weight of the decorrelation loss does to texts, cosines and attention.

    Small dots are single seeds; the changes have 95 % intervals over clips.
    """
    figure = Figure(figsize=(11.0, 3.6), layout="constrained")
    nats, cosines, attention = figure.subplots(1, 3)
    lines: dict[tuple[str, str], list[Condition]] = {}
    for key in results.conditions:
        if key.layers == "paper":
            lines.setdefault((key.training, key.rates), []).append(key)
    weights = sorted({key.weight for keys in lines.values() for key in keys})
    for number, ((training, rates), keys) in enumerate(sorted(lines.items())):
        colour, style, marker = STYLES[number % len(STYLES)]
        look = {"color": colour, "linestyle": style, "marker": marker, "markersize": 5}
        look["label"] = f"{training}, {rates}"
        at = {key: weights.index(key.weight) + 0.08 * (number - 1) for key in keys}
        for axes, name in ((cosines, "cosine"), (attention, "first_attention")):
            axes.plot(at.values(), [results.mean(key, name) for key in keys], **look)
            for key in keys:
                seeds = results.each(key, name)
                axes.plot([at[key]] * len(seeds), seeds, ".", color=colour, markersize=3)
        changes = [
            (at[key], change)
            for key in keys
            if (change := results.change(key, key._replace(weight=0.0), "nll")) is not None
        ]
        ends = [[c.mean - c.low for _, c in changes], [c.high - c.mean for _, c in changes]]
        means = [change.mean for _, change in changes]
        nats.errorbar([x for x, _ in changes], means, ends, capsize=3, **look)
    nats.axhline(0, color="#707070", linewidth=0.8)
    if nats.get_ylim()[1] > 1:  # else every change is small: a plain axis shows them best
        nats.set_yscale("symlog", linthresh=1.0)
        nats.set_ylim(-0.2, 10)
        ticks = [0, 0.5, 1, 2, 4, 8]
        nats.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    nats.set_ylabel("nats per token, change against weight 0")
    cosines.set_ylabel("mean cos² to BOS")
    cosines.set_ylim(bottom=0)
    attention.set_ylabel("attention to BOS")
    attention.set_ylim(0, 1)
    for axes in (nats, cosines, attention):
        axes.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
        axes.set_xlabel("weight of the decorrelation loss")
    nats.legend(fontsize=8, frameon=False)
    return figure


def draw_tokens(found: dict[str, dict[str, Any]]) -> Figure:
    """Nats against tokens a second, for each condition of the sound."""
    figure = Figure(figsize=(4.6 * len(found), 3.6), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for axes, (heading, free) in zip(panels, found.items(), strict=True):
        _draw_tokens(axes, free)
        axes.set_title(heading, fontsize=10)
        axes.set_xlabel("tokens of sound a second")
        axes.set_xscale("log")
        ticks = [1.5, 3, 6, 12]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    panels[0].set_ylabel("nats per token")
    panels[0].legend(fontsize=8, frameon=False)
    return figure


def _draw_tokens(axes: Axes, free: dict[str, Any]) -> None:
    """One panel: trained rates, reductions of rate 4, and those of rate 16 as open marks."""
    units, seconds = np.array(free["n_tokens"]), sum(free["seconds"])

    def points(names: list[str]) -> tuple[list[float], list[float], list[list[float]]]:
        there = [free["variants"][name] for name in names if name in free["variants"]]
        values = np.array([variant["nll"] for variant in there])
        means = values.sum(axis=1) / units.sum()
        low, high = bootstrap_intervals(values, units).T
        across = [sum(variant["n_streamed"]) / seconds for variant in there]
        return across, means.tolist(), [(means - low).tolist(), (high - means).tolist()]

    curves = {"trained rates": ["A4 plain", "A16 plain"]}
    for reduction, name in CURVES.items():
        curves[name] = ["A4 plain", *(f"A4 {reduction}-{factor}" for factor in (2, 4, 8))]
    for number, (name, variants) in enumerate(curves.items()):
        colour, style, marker = STYLES[number]
        look = {"color": colour, "marker": marker, "markersize": 5, "capsize": 3}
        axes.errorbar(*points(variants), linestyle=style, label=name, **look)
        reduction = next((key for key, value in CURVES.items() if value == name), "")
        if f"A16 {reduction}-2" in free["variants"]:
            both = points([f"A16 {reduction}-2"])
            axes.errorbar(*both, linestyle="none", markerfacecolor="white", **look)

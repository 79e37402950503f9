"""Plots of what the stages took: latency against rate, throughput against batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import ScalarFormatter

from avsr.scoring.results import row_route

_COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb")


def plot_latency(rows: Sequence[dict[str, Any]], path: Path, title: str) -> bool:
    """Draw the stages of each reading as stacked bars, one panel for each length of clip.

    Args:
        rows: of :func:`avsr.benchmark.report.stage_row`; of those read alone, the first search.
        path: a picture file to write.
        title: of the figure.

    Returns:
        Whether there was anything to draw.
    """
    n_clips = min((row["n_clips"] for row in rows), default=0)
    alone = [row for row in rows if row["n_clips"] == n_clips]
    alone = [row for row in alone if row["search"] == alone[0]["search"]]
    lengths = sorted({row["clip_s"] for row in alone})
    if not lengths:
        return False
    stages = list(dict.fromkeys(name for row in alone for name in row["seconds"]))
    figure, panels = plt.subplots(
        1, len(lengths), figsize=(1 + 4.2 * len(lengths), 4.2), squeeze=False
    )
    for panel, clip_s in zip(panels[0], lengths, strict=True):
        shown = [row for row in alone if row["clip_s"] == clip_s]
        names = [str(row_route(row)) for row in shown]
        below = [0.0] * len(shown)
        for stage, colour in zip(stages, _COLOURS, strict=False):
            heights = [1000 * row["seconds"].get(stage, 0.0) for row in shown]
            panel.bar(names, heights, bottom=below, label=stage, color=colour)
            below = [a + b for a, b in zip(below, heights, strict=True)]
        plural = "" if n_clips == 1 else "s"
        panel.set_title(f"{n_clips} clip{plural} of {clip_s:g} s, {shown[0]['search']}")
        panel.set_ylabel("milliseconds")
        panel.tick_params(axis="x", rotation=60)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="center right", fontsize=8)
    figure.suptitle(title)
    figure.tight_layout(rect=(0, 0, 1 - 1.2 / (1 + 4.2 * len(lengths)), 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def plot_throughput(rows: Sequence[dict[str, Any]], path: Path, title: str) -> bool:
    """Draw seconds of input read in a second against the clips of a batch.

    Args:
        rows: of :func:`avsr.benchmark.report.stage_row`; those of the first reading are drawn.
        path: a picture file to write.
        title: of the figure.

    Returns:
        Whether there was anything to draw: batches of at least two sizes.
    """
    shown = [row for row in rows if row_route(row) == row_route(rows[0])]
    if len({row["n_clips"] for row in shown}) < 2:
        return False
    figure, axes = plt.subplots(figsize=(6, 4.2))
    lines = list(dict.fromkeys((row["clip_s"], row["search"]) for row in shown))
    for number, (clip_s, search) in enumerate(lines):
        points = sorted(
            (row["n_clips"], 1 / row["real_time_factor"])
            for row in shown
            if (row["clip_s"], row["search"]) == (clip_s, search)
        )
        axes.plot(
            [n_clips for n_clips, _ in points],
            [speed for _, speed in points],
            marker="o",
            color=_COLOURS[number % len(_COLOURS)],
            label=f"{clip_s:g} s, {search}",
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({row["n_clips"] for row in shown}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("clips read together")
    axes.set_ylabel("times real time")
    axes.set_title(f"{title}, {row_route(shown[0])}")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True

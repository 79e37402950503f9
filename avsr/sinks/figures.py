"""Figures of one analysis, for print and for readers who do not see all colours.

Maps use cividis (light is more) or purple-orange around zero; curves differ in colour (the set of
Okabe and Ito), line style and marker. Layers count from 1; 0 is the embeddings.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from avsr.sinks.analysis import SinkAnalysis
from avsr.sinks.piece import PieceAnalysis
from avsr.sinks.rotation import Rotation

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#707070"
STYLES = ((ORANGE, "-", "o"), (BLUE, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"))
MAX_CURVES = len(STYLES)  # sinks drawn one by one; more could not be told apart
DPI = 160
_LEGEND: dict[str, Any] = {  # above the panel, where it hides nothing
    "loc": "lower center",
    "bbox_to_anchor": (0.5, 1.0),
    "ncols": 3,
    "fontsize": 8,
    "frameon": False,
}


def save_figures(piece: PieceAnalysis, folder: Path, stem: str) -> dict[str, Path]:
    """Draw all figures of a piece as PNG files ``STEM-NAME.png``; name -> path, in order.

    Figures of maps are left out where the analysis has none.
    """
    analysis = piece.analysis
    drawings: dict[str, Callable[[SinkAnalysis], Figure]] = {
        "attention-map": attention_map,
        "attention": attention_per_token,
        "activations": activations,
        "cosine": cosine_to_first,
        "token-cosine": token_cosines,
    }
    if analysis.attention_map is None:
        del drawings["attention-map"], drawings["token-cosine"]
    figures = {name: draw(analysis) for name, draw in drawings.items()}
    if piece.rotations:
        figures["rotation"] = rotation(analysis, piece.rotations)
    if piece.base is not None:
        figures["base-attention"] = attention_per_token(piece.base)
        figures["base-activations"] = activations(piece.base)
    paths = {}
    for name, figure in figures.items():
        paths[name] = folder / f"{stem}-{name}.png"
        figure.savefig(paths[name], dpi=DPI, metadata={"Software": None})
    return paths


def attention_map(analysis: SinkAnalysis) -> Figure:
    """Who attends to whom, mean over heads and layers."""
    figure, axes = _figure(6.4, 5.4)
    assert analysis.attention_map is not None
    seen = np.where(np.tri(len(analysis.labels), dtype=bool), analysis.attention_map, np.nan)
    image = axes.imshow(seen, cmap="cividis", norm=PowerNorm(0.4, 0, 1), interpolation="nearest")
    figure.colorbar(image, ax=axes, label="attention weight (mean of heads and layers)")
    _mark_spans(axes, analysis, both=True)
    axes.set_xlabel("attended token")
    axes.set_ylabel("attending token")
    axes.set_title("Attention" + _sinks_in_words(analysis))
    return figure


def attention_per_token(analysis: SinkAnalysis) -> Figure:
    """Attention received by each token: as a map over layers, and as curves."""
    figure, (left, right) = _figure(10.0, 4.0, columns=2)
    image = left.imshow(
        analysis.received,
        aspect="auto",
        cmap="cividis",
        norm=PowerNorm(0.5, 0, max(0.2, float(analysis.received.max()))),
        interpolation="nearest",
        extent=(-0.5, len(analysis.labels) - 0.5, analysis.n_layers + 0.5, 0.5),
    )
    figure.colorbar(image, ax=left, label="received attention")
    _mark_spans(left, analysis, both=False)
    left.set_xlabel("token")
    left.set_ylabel("layer")
    layers = np.arange(1, analysis.n_layers + 1)
    left.set_yticks(_layer_ticks(layers))
    _curves(right, layers, analysis.received, analysis)
    right.set_ylabel("received attention")
    right.set_ylim(bottom=0)
    return figure


def activations(analysis: SinkAnalysis) -> Figure:
    """Largest activations over the layers, and which part adds them."""
    figure, (left, right) = _figure(10.0, 4.0, columns=2)
    layers = np.arange(analysis.n_layers + 1)
    _curves(left, layers, analysis.peaks, analysis)
    left.axhline(analysis.settings.massive, color=GREY, linewidth=1)
    left.annotate("massive", (layers[0], analysis.settings.massive), ha="left", va="bottom")
    left.set_yscale("log")
    left.set_ylim(top=max(3 * analysis.settings.massive, 2 * float(analysis.peaks.max())))
    left.set_ylabel("largest activation / median of the layer")
    token = _strongest(analysis)
    names = {"attention": "added by attention", "mlp": "added by the MLP", "output": "after layer"}
    for (part, name), (colour, style, marker) in zip(names.items(), STYLES, strict=False):
        right.plot(
            layers[1:],
            analysis.part_peaks[part][:, token],
            color=colour,
            linestyle=style,
            marker=marker,
            label=name,
        )
    right.set_yscale("log")
    right.set_xlabel("layer")
    right.set_xticks(_layer_ticks(layers[1:]))
    right.set_ylabel("largest magnitude")
    right.legend(**_LEGEND, title=f"where it arises: {analysis.labels[token].name}")
    return figure


def cosine_to_first(analysis: SinkAnalysis) -> Figure:
    """Cosine of hidden states to the first token's, over layers."""
    figure, axes = _figure(6.0, 4.0)
    _curves(axes, np.arange(analysis.n_layers + 1), analysis.cosines, analysis, skip_first=True)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_ylim(-1.05, 1.05)
    axes.set_ylabel(f"cosine to {analysis.labels[0].name}")
    return figure


def token_cosines(analysis: SinkAnalysis) -> Figure:
    """Cosine of every token's hidden state to every other's, after one layer."""
    figure, axes = _figure(6.4, 5.4)
    assert analysis.token_cosines is not None
    image = axes.imshow(
        analysis.token_cosines, cmap="PuOr", vmin=-1, vmax=1, interpolation="nearest"
    )
    figure.colorbar(image, ax=axes, label="cosine")
    _mark_spans(axes, analysis, both=True)
    axes.set_title(f"Hidden states after layer {analysis.map_layer}")
    return figure


def rotation(analysis: SinkAnalysis, rotations: Sequence[Rotation]) -> Figure:
    """Attention and activations of each token before and after a hidden state is turned."""
    figure, panels = _figure(10.0, 3.4 * len(rotations), rows=len(rotations), columns=2)
    for (attention, peak), turned in zip(
        np.reshape(panels, (len(rotations), 2)), rotations, strict=True
    ):
        both = (analysis, turned.after)
        received = [each.received[turned.first - 1 : turned.last].mean(axis=0) for each in both]
        peaks = [each.peaks[turned.layer + 1 : turned.last + 1].max(axis=0) for each in both]
        _before_and_after(attention, received, turned.token)
        _before_and_after(peak, peaks, turned.token)
        names = [analysis.labels[index].name for index in (turned.token, turned.towards)]
        place = f"after layer {turned.layer}" if turned.layer else "at the input"
        layers = f"layers {turned.first} to {turned.last}"
        attention.set_title(f"{names[0]} turned towards {names[1]} {place}:\n{layers}", fontsize=9)
        attention.set_ylabel("received attention")
        peak.set_ylabel("largest activation / median")
        peak.set_yscale("log")
        peak.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        peak.yaxis.set_minor_formatter(NullFormatter())
        peak.legend(fontsize=8)
    return figure


def _before_and_after(axes: Axes, values: list[np.ndarray], token: int) -> None:
    names = ("as it is", "turned")
    drawn = zip(values, names, (BLUE, ORANGE), ("--", "-"), ("s", "o"), strict=True)
    for curve, name, colour, style, marker in drawn:
        axes.plot(curve, color=colour, linestyle=style, linewidth=1.2, label=name)
        axes.plot(token, curve[token], color=colour, marker=marker)
    axes.set_xlabel("token")


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns)


def _curves(
    axes: Axes,
    layers: np.ndarray,
    values: np.ndarray,
    analysis: SinkAnalysis,
    skip_first: bool = False,
) -> None:
    """Each of the strongest sinks as a curve; the other tokens as a band with their median."""
    sinks = [s for s in analysis.sinks if not (skip_first and s.index == 0)]
    sinks = sorted(sinks, key=lambda sink: -sink.received * len(sink.layers))
    strongest = [sink.index for sink in sinks[:MAX_CURVES]]
    ordinary = ~analysis.is_sink.any(axis=0)
    ordinary[0] &= not skip_first
    if ordinary.any():
        others = values[:, ordinary]
        axes.fill_between(
            layers, others.min(axis=1), others.max(axis=1), color=GREY, alpha=0.25, linewidth=0
        )
        axes.plot(
            layers, np.median(others, axis=1), color=GREY, label="other tokens: median, range"
        )
    for number, (index, (colour, style, marker)) in enumerate(
        zip(sorted(strongest), STYLES, strict=False)
    ):
        axes.plot(
            layers,
            values[:, index],
            color=colour,
            linestyle=style,
            marker=marker,
            markersize=11 - 2 * number,  # curves that coincide stay visible
            markerfacecolor="none",
            label=analysis.labels[index].name,
        )
    axes.set_xlabel("layer")
    axes.set_xticks(_layer_ticks(layers))
    more = len(sinks) - len(strongest)
    axes.legend(**_LEGEND, title=f"{more} more sinks not drawn" if more else None)


def _layer_ticks(layers: np.ndarray) -> np.ndarray:
    return layers[:: max(1, len(layers) // 8)]


def _mark_spans(axes: Axes, analysis: SinkAnalysis, both: bool) -> None:
    """Ticks at sinks and, as thin lines with names, where each kind of token begins."""
    kinds = [label.kind for label in analysis.labels]
    starts = [i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1] and kinds[i] != "marker"]
    for start in starts:
        axes.axvline(start - 0.5, color="white", linewidth=0.6, alpha=0.7)
        if both:
            axes.axhline(start - 0.5, color="white", linewidth=0.6, alpha=0.7)
    named = [start for start in starts if kinds[start] != "bos"]
    axes.set_xticks(named, [kinds[start] for start in named], rotation=45, ha="left", fontsize=8)
    axes.xaxis.set_ticks_position("top")
    axes.xaxis.set_label_position("bottom")
    axes.xaxis.labelpad = 10  # room for the marks of sinks
    for sink in analysis.sinks:
        axes.annotate(
            "▲",
            (sink.index, 0),
            xycoords=("data", "axes fraction"),
            color=ORANGE,
            ha="center",
            va="top",
            fontsize=7,
        )


def _strongest(analysis: SinkAnalysis) -> int:
    """The sink with the largest activation, or, without sinks, the token with it."""
    peaks = analysis.peaks[1:].max(axis=0)
    if analysis.is_sink.any():
        peaks = np.where(analysis.is_sink.any(axis=0), peaks, -1)
    return int(peaks.argmax())


def _sinks_in_words(analysis: SinkAnalysis) -> str:
    n_sinks = len(analysis.sinks)
    return ": no sinks" if n_sinks == 0 else f": {n_sinks} sink{'s' * (n_sinks > 1)} (▲)"

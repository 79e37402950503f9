"""Plots of an evaluation: WER against tokens per second, noise ratio and rate.

Colours are told apart by colour-blind readers and, with markers and line styles, in grey print.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no window, whatever the machine has

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

Row = dict[str, Any]

_STYLES = {  # colours of Okabe and Ito
    "audio": {"color": "#0072B2", "marker": "o", "label": "sound"},
    "video": {"color": "#D55E00", "marker": "s", "label": "lips"},
    "av": {"color": "#009E73", "marker": "^", "label": "sound and lips"},
}
_LINES = ("-", "--", ":", "-.")
_APART = 1.02  # lines are moved sideways by this, so that their intervals do not hide each other
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 7, "handlelength": 3}
_WIDTH, _HEIGHT, _DPI = 4.2, 3.2, 160  # inches; one column of a paper


def write_plots(results: dict[str, Any], path_of: Callable[[str], Path]) -> list[Path]:
    """Draw what the rows allow.

    Args:
        results: the values of a results file.
        path_of: the file of ``"tokens"``, ``"snr"`` and ``"rate"``.

    Returns:
        The files that were written: a plot needs two different values on its axis.
    """
    rows = [row for row in results["rows"] if row["wer"] is not None]
    drawings = {"tokens": _tokens(rows), "snr": _snr(rows), "rate": _rate(rows)}
    written = []
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        for name, panels in drawings.items():
            panels = [panel for panel in panels if panel is not None]
            if not panels:
                continue
            figure, axes = plt.subplots(
                1,
                len(panels),
                figsize=(_WIDTH * max(1.0, 0.8 * len(panels)), _HEIGHT),
                sharey=name == "rate",  # elsewhere one panel would press the other flat
                squeeze=False,
                layout="constrained",
            )
            for draw, axis in zip(panels, axes[0], strict=True):
                draw(axis)
                axis.grid(axis="y", color="0.9", linewidth=0.6)
                axis.margins(x=0.08)
            axes[0][0].set_ylabel("word error rate, %")
            for axis in axes[0]:
                axis.set_ylim(bottom=0)  # now that every line has had its say
            figure.savefig(path_of(name), dpi=_DPI)
            plt.close(figure)
            written.append(path_of(name))
    return written


Panel = Callable[[Axes], None]


def _tokens(rows: Sequence[Row]) -> list[Panel | None]:
    """WER against tokens per second: clean sound and, beside it, the hardest noise."""
    sounds = [_clean(rows), _hardest(rows)]
    panels = [_tokens_panel(members) for members in sounds if members]
    return [panels[0], *(_without_legend(panel) for panel in panels[1:])] if panels else []


def _tokens_panel(members: Sequence[Row]) -> Panel | None:
    if len({row["tokens_per_second"] for row in members}) < 2:
        return None

    def draw(axis: Axes) -> None:
        for number, modality in enumerate(_present(members)):
            line = sorted(
                (row for row in members if row["modality"] == modality),
                key=lambda row: row["tokens_per_second"],
            )
            places = [row["tokens_per_second"] * _APART**number for row in line]
            _line(axis, places, line, _STYLES[modality])
        rates = sorted({row["tokens_per_second"] for row in members})
        axis.set_xscale("log", base=2)
        _ticks(axis, _apart(rates), [f"{rate:.1f}".removesuffix(".0") for rate in _apart(rates)])
        axis.set_xlabel("tokens per second of clip")
        axis.set_title(_sound_name(members[0]), fontsize=9)
        axis.legend(**_LEGEND)

    return draw


def _without_legend(panel: Panel | None) -> Panel | None:
    """A panel beside one that has explained the lines."""
    if panel is None:
        return None

    def draw(axis: Axes) -> None:
        panel(axis)
        if (legend := axis.get_legend()) is not None:
            legend.remove()

    return draw


def _snr(rows: Sequence[Row]) -> list[Panel | None]:
    """WER against the noise ratio, a line for each modality at its finest and coarsest rates."""
    noises = dict.fromkeys(row["noise"] for row in rows if row["noise"] is not None)
    return [_snr_panel(rows, noise) for noise in noises]


def _snr_panel(rows: Sequence[Row], noise: str) -> Panel | None:
    members = [row for row in rows if row["noise"] in (noise, None)]
    ratios = sorted({row["snr_db"] for row in members if row["snr_db"] is not None})
    has_clean = any(row["snr_db"] is None for row in members)
    if len(ratios) + has_clean < 2:
        return None
    places: dict[float | None, float] = {ratio: float(i) for i, ratio in enumerate(ratios)}
    if has_clean:
        places[None] = float(len(ratios))

    def draw(axis: Axes) -> None:
        n_lines = 0
        for modality in _present(members):
            pairs = _pairs([row for row in members if row["modality"] == modality])
            chosen = [pairs[0]] if len(pairs) == 1 else [pairs[0], pairs[-1]]
            for pair, dashes in zip(chosen, _LINES, strict=False):
                line = sorted(
                    (r for r in members if r["modality"] == modality and _pair(r) == pair),
                    key=lambda row: places[row["snr_db"]],
                )
                style = _STYLES[modality]
                label = f"{style['label']}, {_pair_name(pair)}"
                _line(
                    axis,
                    [places[row["snr_db"]] + 0.05 * (n_lines - 2) for row in line],
                    line,
                    {**style, "label": label, "linestyle": dashes},
                )
                n_lines += 1
        names = [f"{ratio:g}" for ratio in ratios] + ["clean"] * has_clean
        _ticks(axis, list(places.values()), names)
        axis.set_xlabel(f"speech over {Path(noise).stem}, dB")
        axis.legend(**_LEGEND)

    return draw


def _rate(rows: Sequence[Row]) -> list[Panel | None]:
    """WER against the audio rate and against the video rate, clean sound."""
    return [_rate_panel(_clean(rows), stream) for stream in ("audio", "video")]


def _rate_panel(members: Sequence[Row], stream: str) -> Panel | None:
    key, other = f"{stream}_rate", {"audio": "video_rate", "video": "audio_rate"}[stream]
    members = [row for row in members if row[key] is not None]
    rates = sorted({row[key] for row in members})
    if len(rates) < 2:
        return None

    def draw(axis: Axes) -> None:
        n_lines = 0
        for modality in _present(members):
            own = [row for row in members if row["modality"] == modality]
            for number, fixed in enumerate(sorted({row[other] or 0 for row in own})):
                line = sorted(
                    (row for row in own if (row[other] or 0) == fixed), key=lambda row: row[key]
                )
                style = _STYLES[modality]
                letter = "V" if stream == "audio" else "A"
                label = style["label"] + (f", {letter}{fixed}" if fixed else "")
                _line(
                    axis,
                    [row[key] * _APART**n_lines for row in line],
                    line,
                    {**style, "label": label, "linestyle": _LINES[number % len(_LINES)]},
                )
                n_lines += 1
        axis.set_xscale("log", base=2)
        _ticks(axis, rates, [str(rate) for rate in rates])
        axis.set_xlabel(f"{stream} rate, encoder frames per token")
        axis.legend(**_LEGEND)

    return draw


def _line(axis: Axes, places: Sequence[float], rows: Sequence[Row], style: dict[str, Any]) -> None:
    """A line with the 95 % interval of each point."""
    wers = [100 * row["wer"] for row in rows]
    errors = [
        [max(0.0, 100 * (row["wer"] - row["wer_interval"][0])) for row in rows],
        [max(0.0, 100 * (row["wer_interval"][1] - row["wer"])) for row in rows],
    ]
    axis.errorbar(
        places, wers, yerr=errors, capsize=2, elinewidth=0.7, linewidth=1.3, markersize=4.5, **style
    )


def _ticks(axis: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    axis.xaxis.set_major_locator(FixedLocator(list(places)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticklabels(list(names))


def _apart(rates: Sequence[float]) -> list[float]:
    """The values whose labels would not touch on a logarithmic axis."""
    kept: list[float] = []
    for rate in rates:
        if not kept or rate / kept[-1] > 1.35:
            kept.append(rate)
    return kept


def _present(rows: Sequence[Row]) -> list[str]:
    return [name for name in _STYLES if any(row["modality"] == name for row in rows)]


def _clean(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["noise"] is None]


def _hardest(rows: Sequence[Row]) -> list[Row]:
    """The rows of the first noise at its lowest ratio."""
    noisy = [row for row in rows if row["noise"] is not None]
    if not noisy:
        return []
    first = noisy[0]["noise"]
    lowest = min(row["snr_db"] for row in noisy if row["noise"] == first)
    return [row for row in noisy if row["noise"] == first and row["snr_db"] == lowest]


def _sound_name(row: Row) -> str:
    if row["noise"] is None:
        return "clean sound"
    return f"{Path(row['noise']).stem}, {row['snr_db']:g} dB"


def _pairs(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Rate pairs, finest first."""
    return sorted({_pair(row) for row in rows})


def _pair(row: Row) -> tuple[int, int]:
    return row["audio_rate"] or 0, row["video_rate"] or 0


def _pair_name(pair: tuple[int, int]) -> str:
    return " ".join(f"{letter}{rate}" for letter, rate in zip("AV", pair, strict=True) if rate)

"""The figures of the miniature experiment."""

from matplotlib.figure import Figure
from results import Results, pairs_of, shown, weights_of

STYLES = (
    ("#D55E00", "-", "o"), ("#0072B2", "--", "s"), ("#009E73", "-.", "^"), ("#CC79A7", ":", "D"),
    ("#000000", "-", "x"), ("#E69F00", "--", "v"), ("#56B4E9", "-.", "P"),
)  # fmt: skip


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
        panels[1, column].set_yscale("log", base=2)
        panels[1, column].yaxis.set_major_formatter("{x:g}")
        panels[1, column].set_xlabel("steps of pre-training")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper center", ncols=7, fontsize=8, title="layers x width"
    )
    return figure


def draw_weights(results: Results) -> Figure:
    """WER with its interval, cosine and sinks of Matryoshka models against the weight."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = figure.subplots(1, 3)
    weights, pairs = weights_of(results), pairs_of(results)
    for number, (pair, (colour, style, marker)) in enumerate(zip(pairs, STYLES, strict=False)):
        look = {"color": colour, "linestyle": style, "marker": marker, "markersize": 4}
        name = shown(pair)
        keys = [("matryoshka", weight, False, True, "plain", *pair) for weight in weights]
        places = [index + 0.06 * (number - len(pairs) / 2) for index in range(len(weights))]
        wers = [wer for key in keys if (wer := results.interval(key)) is not None]
        bars = [[mean - low for mean, low, _ in wers], [high - mean for mean, _, high in wers]]
        panels[0].errorbar(
            places, [mean for mean, _, _ in wers], bars, label=name, capsize=2, **look
        )
        for panel, value in zip(panels[1:], ("cosine", "other_sink_tokens"), strict=True):
            panel.plot(places, [results.mean(key, value) for key in keys], label=name, **look)
    for panel, title in zip(
        panels,
        ("WER (%)", "mean squared cosine to BOS", "other sink tokens in a clip"),
        strict=True,
    ):
        panel.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
        panel.set_xlabel("weight of the decorrelation loss")
        panel.set_ylabel(title)
    panels[1].set_yscale("symlog", linthresh=1e-5)  # cosines are recorded to 5 decimals: some are 0
    panels[1].set_ylim(bottom=0)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=max(1, len(names)), fontsize=8)
    return figure

"""The report: one HTML page with everything in it, to be opened without a network."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from avsr.sinks.analysis import SinkAnalysis, SinkSettings, SinkToken
from avsr.sinks.gates import GateUnit
from avsr.sinks.piece import PieceAnalysis
from avsr.sinks.rotation import Rotation

_CAPTIONS = {
    "attention-map": "Attention of every token to every other, mean over heads and layers. A sink "
    "is a light column; ▲ marks those found.",
    "attention": "Attention that each token receives: mean over heads and over the tokens that can "
    "see it.",
    "activations": "Left: each token's largest activation over its layer's median. Right: what "
    "attention and MLP add to the strongest token.",
    "cosine": "Cosine of hidden states to the first token's. Sinks go where the first token goes.",
    "token-cosine": "Cosine between the hidden states of all tokens after one layer.",
    "rotation": "The rotation test: a hidden state takes another's direction and keeps its norm.",
    "base-attention": "Received attention before fine-tuning, on the same input.",
    "base-activations": "Largest activations before fine-tuning, on the same input.",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem;
       margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } caption { text-align: left; font-weight: 600 }
th, td { border-bottom: 1px solid #bbb; padding: .25rem .8rem .25rem 0; text-align: left;
         font-variant-numeric: tabular-nums }
figure { margin: 1.5rem 0 } img { max-width: 100%; height: auto } figcaption { color: #444 }
.scroll { overflow-x: auto }
@media print { figure { break-inside: avoid } }
"""


def report_page(
    pieces: Sequence[PieceAnalysis], figures: Sequence[dict[str, Path]], model: str
) -> str:
    """The page as text.

    Args:
        pieces: the analyses.
        figures: PNG files of each piece, by name; they are copied into the page.
        model: name of the model.
    """
    parts = [_settings(pieces[0].analysis.settings)] if pieces else []
    for number, (piece, drawn) in enumerate(zip(pieces, figures, strict=True), start=1):
        parts.append(_piece(number, piece, drawn))
    contents = "".join(
        f'<li><a href="#input-{n}">{escape(_title(piece))}</a></li>'
        for n, piece in enumerate(pieces, start=1)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Attention sinks of {escape(model)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>Attention sinks of {escape(model)}</h1>\n<ul>{contents}</ul>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _title(piece: PieceAnalysis) -> str:
    if piece.route is None:
        return piece.path.name
    return f"{piece.path.name}, {piece.start_s:.1f} to {piece.end_s:.1f} s, {piece.route.in_words}"


def _settings(settings: SinkSettings) -> str:
    return (
        f"<p>A token is called a sink of a layer if at least {settings.coverage:.0%} of the tokens "
        f"after it give it {settings.factor:g} times what each would give to every token alike "
        f"(tokens with fewer than {settings.min_later} after them are not judged). Activations are "
        f"massive from {settings.massive:g} times the median magnitude of its layer on.</p>"
    )


def _piece(number: int, piece: PieceAnalysis, figures: dict[str, Path]) -> str:
    analysis = piece.analysis
    parts = [
        f'<section id="input-{number}"><h2>{escape(_title(piece))}</h2>',
        f"<p>Read as “{escape(piece.text)}”: {len(analysis.labels)} tokens through "
        f"{analysis.n_layers} layers. Largest activation: {analysis.peaks[1:].max():.0f} times the "
        f"median. Mean squared cosine to the first token (the decorrelation loss): "
        f"{analysis.decorrelation:.4f}.</p>",
        _sink_table("Sinks", analysis),
        _gate_table(piece),
        _rotation_table(piece),
    ]
    if piece.base is not None:
        parts.append(_sink_table("Before fine-tuning, on the same input", piece.base))
    for name, path in figures.items():
        data = base64.b64encode(path.read_bytes()).decode()
        caption = escape(_CAPTIONS[name])
        parts.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return "\n".join([*parts, "</section>"])


def _sink_table(caption: str, analysis: SinkAnalysis) -> str:
    if not analysis.sinks:
        return f"<p>{escape(caption)}: <strong>No token is a sink.</strong></p>"
    rows = [
        (
            sink.index,
            sink.label.name,
            _ranges(sink.layers),
            f"{sink.received:.3f}",
            _ranges(sink.massive_layers) or "none",
            ", ".join(map(str, sink.massive_features)) or "none",
            _origins(sink),
        )
        for sink in analysis.sinks
    ]
    header = (
        "position", "token", "sink in layers", "received attention", "massive after layers",
        "features", "arises in",
    )  # fmt: skip
    return _table(caption, header, rows)


def _origins(sink: SinkToken) -> str:
    return "; ".join(
        f"layer {o.layer}, {o.part}, feature {o.feature} (sink from {o.first})"
        if o.layer
        else "the input"
        for o in sink.origins
    )


def _gate_table(piece: PieceAnalysis) -> str:
    rows = [_gate_row(unit, piece.analysis) for unit in piece.gates]
    header = (
        "token", "layer", "feature", "hidden unit", "share of what the MLP adds", "gate",
        "elsewhere",
    )  # fmt: skip
    return _table("Hidden units behind them: projections on their gates", header, rows) * bool(rows)


def _gate_row(unit: GateUnit, analysis: SinkAnalysis) -> tuple:
    return (
        analysis.labels[unit.token].name,
        unit.layer,
        unit.feature,
        unit.unit,
        f"{unit.share:.0%}",
        f"{unit.gate:.1f}",
        f"{unit.others:.1f}",
    )


def _rotation_table(piece: PieceAnalysis) -> str:
    rows = [_rotation_row(rotation, piece.analysis) for rotation in piece.rotations]
    header = (
        "token", "turned towards", "after layer", "looked at in layers", "sink",
        "received attention", "largest activation",
    )  # fmt: skip
    return _table("Rotation test, before → after", header, rows) * bool(rows)


def _rotation_row(rotation: Rotation, analysis: SinkAnalysis) -> tuple:
    yes = {True: "yes", False: "no"}
    return (
        analysis.labels[rotation.token].name,
        analysis.labels[rotation.towards].name,
        rotation.layer,
        f"{rotation.first}-{rotation.last}",
        f"{yes[rotation.was_sink]} → {yes[rotation.is_sink]}",
        f"{rotation.received[0]:.3f} → {rotation.received[1]:.3f}",
        f"{rotation.peak[0]:.1f} → {rotation.peak[1]:.1f}",
    )


def _table(caption: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<tr>{head}</tr>{body}</table></div>"
    )


def _ranges(numbers: Sequence[int]) -> str:
    """1-3, 5 for 1, 2, 3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)

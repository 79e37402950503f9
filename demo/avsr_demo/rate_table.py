"""Compression rates against text and cost, as an HTML table."""

from html import escape

from avsr_demo.findings import Findings, RateRow


def rate_table(findings: Findings | None) -> str:
    """The table; on a phone each row becomes a block, and its cells say what they are."""
    if findings is None or not findings.rates:
        return ""
    with_wer = any(row.wer is not None for row in findings.rates)
    wer_head = '<th scope="col" class="number">WER</th>' if with_wer else ""
    rows = "".join(_rate_row(row, with_wer) for row in findings.rates)
    return (
        '<section class="rates"><h2 id="rates-title">Coarser is cheaper</h2>'
        "<p>A rate is how many encoder frames become one token of the language model. "
        "Times run from waveform and mouth crops to text.</p>"
        '<table aria-labelledby="rates-title">'
        '<thead><tr><th scope="col">Sound</th><th scope="col">Lips</th><th scope="col">Text</th>'
        '<th scope="col" class="number">LLM tokens</th><th scope="col" class="number">ms</th>'
        '<th scope="col" class="number"><abbr title="real-time factor: seconds of work for each '
        f'second of recording">RTF</abbr></th>{wer_head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )


def _rate_row(row: RateRow, with_wer: bool) -> str:
    numbers = {
        "tokens": str(row.n_tokens),
        "ms": f"{1000 * row.seconds:.0f}",
        "RTF": f"{row.real_time_factor:.2f}",
    }
    if with_wer:
        numbers["WER"] = "" if row.wer is None else f"{row.wer:.0%}"
    cells = [
        _cell("sound", "–" if row.route.audio_rate is None else str(row.route.audio_rate)),
        _cell("lips", "–" if row.route.video_rate is None else str(row.route.video_rate)),
        f'<td class="text">{escape(row.text) or "<em>nothing</em>"}</td>',
        *(_cell(name, value, "number") for name, value in numbers.items()),
    ]
    chosen = ' class="chosen" aria-current="true"' if row.chosen else ""
    return f"<tr{chosen}>{''.join(cells)}</tr>"


def _cell(name: str, value: str, kind: str = "rate") -> str:
    return f'<td class="{kind}" data-name="{name}">{value}</td>'

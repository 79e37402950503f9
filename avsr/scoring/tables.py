"""Tables of strings as plain text, Markdown, CSV or LaTeX; and the table of an evaluation."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from avsr.scoring.normalisers import WHISPER

TableFormat = Literal["text", "markdown", "csv", "latex"]
FORMATS: tuple[TableFormat, ...] = ("text", "markdown", "csv", "latex")
_LATEX = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#"})


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells, right-aligned but for the first column.

    Attributes:
        header: one name for each column.
        rows: cells as text.
        bold: (row, column) of the cells that Markdown and LaTeX set in bold.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()

    def render(self, style: TableFormat) -> str:
        """The table as text that ends in a newline."""
        return {
            "text": self._text,
            "markdown": self._markdown,
            "csv": self._csv,
            "latex": self._latex,
        }[style]()

    def _text(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        return "".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            + "\n"
            for line in lines
        )

    def _markdown(self) -> str:
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [self.header, rule, *self._emphasised("**", "**")]
        return "".join(
            f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines
        )

    def _csv(self) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def _latex(self) -> str:
        escaped = Table(
            header=tuple(cell.translate(_LATEX) for cell in self.header),
            rows=tuple(tuple(cell.translate(_LATEX) for cell in row) for row in self.rows),
            bold=self.bold,
        )
        lines = [f"{' & '.join(row)} \\\\\n" for row in escaped._emphasised(r"\textbf{", "}")]
        columns = "l" + "r" * (len(self.header) - 1)
        return (
            f"\\begin{{tabular}}{{{columns}}}\n\\hline\n{' & '.join(escaped.header)} \\\\\n"
            f"\\hline\n{''.join(lines)}\\hline\n\\end{{tabular}}\n"
        )

    def _emphasised(self, before: str, after: str) -> list[tuple[str, ...]]:
        return [
            tuple(
                f"{before}{cell}{after}" if (number, column) in self.bold else cell
                for column, cell in enumerate(row)
            )
            for number, row in enumerate(self.rows)
        ]


def results_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The table of an evaluation, from the rows of its results file."""
    header = ("modality", "audio rate", "video rate", "tokens/s", "noise", "SNR dB", "achieved",
              "WER %", "95 %", "Whisper WER %", "S", "D", "I", "words", "clips")  # fmt: skip
    cells = [_cells(row) for row in rows]
    if any(row.get("against_better") for row in rows):
        header += ("both - better", "95 % of it")
        cells = [own + _better_cells(row) for own, row in zip(cells, rows, strict=True)]
    if any(row.get("wordless") for row in rows):
        header += ("wordless clips", "with words", "words in them", "a minute")
        cells = [own + _wordless_cells(row) for own, row in zip(cells, rows, strict=True)]
    return Table(header=header, rows=tuple(cells))


def percent(rate: float | None) -> str:
    """A fraction in percent with two decimals; a dash where there are no words."""
    return "-" if rate is None else f"{100 * rate:.2f}"


def interval_text(interval: Sequence[float] | None) -> str:
    """An interval of fractions in percent with one decimal; a dash where there is none."""
    return "-" if interval is None else f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f}"


def spread_text(achieved: Sequence[float] | None) -> str:
    """Lowest and highest ratio achieved, in dB; one number where they agree to two decimals."""
    if achieved is None:
        return "-"
    low, high = (f"{value + 0.0:.2f}" for value in achieved)
    return low if low == high else f"{low} to {high}"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["modality"],
        _dash(row["audio_rate"]),
        _dash(row["video_rate"]),
        f"{row['tokens_per_second']:g}",
        row["noise"] or "clean",
        "-" if row["snr_db"] is None else f"{row['snr_db']:g}",
        spread_text(row["snr_db_achieved"]),
        percent(row["wer"]),
        interval_text(row["wer_interval"]),
        percent(row[WHISPER]["wer"]),
        *(str(row[name]) for name in ("substitutions", "deletions", "insertions")),
        str(row["n_words"]),
        str(row["n_utterances"]),
    )


def _better_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """By how many points both is worse (+) than the better stream, and which one that is."""
    compared = row.get("against_better")
    if compared is None:
        return ("-", "-")
    low, high = (100 * limit for limit in compared["interval"])
    return (
        f"{100 * compared['difference']:+.2f} ({compared['stream']})",
        f"{low:+.1f} to {high:+.1f}",
    )


def _wordless_cells(row: dict[str, Any]) -> tuple[str, ...]:
    values = row["wordless"]
    a_minute = values["insertions_per_minute"]
    return (
        str(values["n_clips"]),
        str(values["n_clips_with_words"]),
        str(values["insertions"]),
        "-" if a_minute is None else f"{a_minute:.1f}",
    )


def _dash(value: object) -> str:
    return "-" if value is None else str(value)

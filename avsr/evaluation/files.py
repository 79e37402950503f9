"""The files that an evaluation leaves beside ``results.json``."""

import json
from pathlib import Path
from typing import Any

from avsr.atomic import write_text_atomically
from avsr.errors import InputError
from avsr.scoring.card import card
from avsr.scoring.tables import results_table
from avsr.scoring.utterances import utterance_lines


def write_results(output: Path, results: dict[str, Any], *, plots: bool) -> list[Path]:
    """Write the results, and beside them what people read.

    For ``results.json``: ``results.card.md`` (the evaluation card), ``results.md`` and
    ``results.csv`` (the table), ``results.utterances.tsv`` (every utterance with its errors) and,
    where asked for, ``results.tokens.png``, ``results.snr.png`` and ``results.rate.png``.

    Returns:
        The files, the results first.

    Raises:
        InputError: if one cannot be written.
    """
    table = results_table(results["rows"])
    texts = {
        output: json.dumps(results, ensure_ascii=False, indent=1) + "\n",
        sibling(output, "card.md"): card(results),
        sibling(output, "md"): table.render("markdown"),
        sibling(output, "csv"): table.render("csv"),
        sibling(output, "utterances.tsv"): utterance_lines(results),
    }
    try:
        for path, text in texts.items():
            write_text_atomically(path, text)
        written = list(texts)
        if plots:
            from avsr.scoring.plots import write_plots

            written += write_plots(results, lambda name: sibling(output, f"{name}.png"))
    except OSError as error:
        raise InputError(f"{error.filename or output}: cannot write ({error.strerror})") from error
    return written


def sibling(output: Path, ending: str) -> Path:
    """A file beside the results: its name without ``.json``, and another ending."""
    stem = output.name.removesuffix(".json")
    return output.with_name(f"{stem}.{ending}")

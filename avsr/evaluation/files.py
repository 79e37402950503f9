"""The files that an evaluation leaves beside ``results.json``."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from avsr.errors import InputError, UsageError
from avsr.outputs import check_outputs, note_output, write_output
from avsr.scoring.card import card
from avsr.scoring.results import read_results
from avsr.scoring.tables import results_table
from avsr.scoring.utterances import utterance_lines

_PURPOSE = "evaluation"
_TEXTS = ("card.md", "md", "csv", "utterances.tsv")
_PLOTS = ("tokens.png", "snr.png", "rate.png")


def check_results(output: Path, inputs: Iterable[Path], *, plots: bool) -> None:
    """Find out before the work whether results may be written; makes their folder.

    Args:
        output: the results file.
        inputs: what the evaluation reads.
        plots: whether plots are written too.

    Raises:
        UsageError: if one would replace an input or a file that no evaluation wrote.
    """
    siblings = [sibling(output, ending) for ending in (*_TEXTS, *(_PLOTS if plots else ()))]
    is_ours = _is_results(output)
    check_outputs([output], _PURPOSE, inputs=inputs, is_ours=lambda path: is_ours)
    check_outputs(siblings, _PURPOSE, inputs=inputs, is_ours=lambda path: is_ours)


def _is_results(path: Path) -> bool:
    try:
        read_results(path)
    except UsageError:
        return False
    return True


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
            write_output(path, text, _PURPOSE)
        written = list(texts)
        if plots:
            from avsr.scoring.plots import write_plots

            for path in write_plots(results, lambda name: sibling(output, f"{name}.png")):
                note_output(path, _PURPOSE)
                written.append(path)
    except OSError as error:
        raise InputError(f"{error.filename or output}: cannot write ({error.strerror})") from error
    return written


def sibling(output: Path, ending: str) -> Path:
    """A file beside the results: its name without ``.json``, and another ending."""
    stem = output.name.removesuffix(".json")
    return output.with_name(f"{stem}.{ending}")

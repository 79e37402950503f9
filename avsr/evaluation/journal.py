"""What an evaluation has finished so far, on disk, so that a killed run goes on where it was.

Beside ``results.json`` stands the folder ``results.json.partial`` until the results are written,
with the decoded clips and one line for each utterance that all rows have read.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from avsr.atomic import is_unfinished, write_text_atomically
from avsr.errors import UsageError
from avsr.evaluation.conditions import Condition, UtteranceOutcome
from avsr.lines import read_lines

_RUN = "run.txt"
_OUTCOMES = "outcomes.jsonl"
_CLIPS = "clips"


class Journal:
    """The folder of a run that is not finished.

    Args:
        folder: made if it is missing; one run at a time.
        run: tells runs apart; what another run recognised is forgotten, its clips stay.

    Raises:
        UsageError: if the folder cannot be written to, or holds anything else.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder = folder
        self._file = folder / _OUTCOMES
        foreign = set(_names(folder)) - {_RUN, _OUTCOMES, _CLIPS}
        if foreign:
            raise UsageError(
                f"{folder}: holds {min(foreign)}, which is of no evaluation; move it away"
            )
        try:
            self.clips.mkdir(parents=True, exist_ok=True)
            note = folder / _RUN
            if not note.is_file() or note.read_text() != run:
                self._file.unlink(missing_ok=True)
                write_text_atomically(note, run)
        except OSError as error:
            raise UsageError(f"{folder}: cannot write here ({error.strerror or error})") from None

    @property
    def clips(self) -> Path:
        """Folder for decoded clips."""
        return self._folder / _CLIPS

    def restore(
        self, outcomes: Iterable[UtteranceOutcome], conditions: Sequence[Condition]
    ) -> list[UtteranceOutcome]:
        """Fill in what is known already; returns the outcomes that are still to do."""
        known = dict(self._lines())
        todo = []
        for outcome in outcomes:
            line = known.get(outcome.utterance.id)
            if line is None or len(line["hypotheses"]) != len(conditions):
                todo.append(outcome)
                continue
            outcome.hypotheses = dict(zip(conditions, line["hypotheses"], strict=True))
            outcome.used = dict(zip(conditions, line["used"], strict=True))
            achieved = zip(conditions, line["snr_db"], strict=True)
            outcome.snr_db = {row: ratio for row, ratio in achieved if ratio is not None}
            outcome.n_drafted, outcome.n_accepted = line["drafted"]
        return todo

    def add(self, outcomes: Iterable[UtteranceOutcome], conditions: Sequence[Condition]) -> None:
        """Write down finished utterances."""
        with self._file.open("a", encoding="utf-8") as file:
            for outcome in outcomes:
                values = {
                    "id": outcome.utterance.id,
                    "hypotheses": [outcome.hypotheses[row] for row in conditions],
                    "used": [outcome.used[row] for row in conditions],
                    "snr_db": [outcome.snr_db.get(row) for row in conditions],
                    "drafted": [outcome.n_drafted, outcome.n_accepted],
                }
                file.write(json.dumps(values) + "\n")

    def remove(self) -> None:
        """Delete the folder: the results are written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _lines(self) -> Iterable[tuple[str, dict[str, Any]]]:
        if not self._file.is_file():
            return
        for line in read_lines(self._file):
            try:
                values = json.loads(line)
                yield values["id"], values
            except (json.JSONDecodeError, KeyError, TypeError):
                continue  # cut short by a kill: this utterance is recognised again


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if not is_unfinished(path)]
    except OSError:
        return []

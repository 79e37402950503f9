"""The results file of an evaluation as typed values: settings, rows and utterances.

``results.json`` holds what was recognised and the scores of it. Whoever reads it for the errors of
single utterances scores the texts again, so that both can never disagree.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsr.errors import UsageError
from avsr.route import Route
from avsr.scoring.scores import Score, score_rows

_ROW_KEYS = ("modality", "audio_rate", "video_rate", "noise", "snr_db", "wer", "n_words")


@dataclass(frozen=True, kw_only=True)
class RowKey:
    """What a row stands for; equal rows of different files can be compared.

    Attributes:
        route: modality and rates.
        noise: the noise's name without its folder; None for clean sound.
    """

    route: Route
    noise: str | None
    snr_db: float | None

    def __str__(self) -> str:
        """Such as ``av A4 V2, babble 0 dB``."""
        sound = "clean" if self.noise is None else f"{self.noise} {self.snr_db:g} dB"
        return f"{self.route}, {sound}"


@dataclass(frozen=True, kw_only=True)
class Results:
    """A results file.

    Attributes:
        name: how it is shown.
        settings: what went in.
        rows: the values of each row.
        ids: of the utterances, in order.
        references: their texts as written.
        hypotheses: for each row, what was recognised.
    """

    name: str
    settings: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    ids: tuple[str, ...]
    references: tuple[str, ...]
    hypotheses: tuple[tuple[str, ...], ...]

    @property
    def keys(self) -> tuple[RowKey, ...]:
        """What each row stands for."""
        return tuple(row_key(row) for row in self.rows)

    def scores(self, normaliser: str, rows: Sequence[int]) -> list[Score]:
        """Score some rows, by number."""
        return score_rows(self.references, [self.hypotheses[row] for row in rows], normaliser)


def row_key(row: dict[str, Any]) -> RowKey:
    """What a row of a results file stands for."""
    noise = row["noise"]
    return RowKey(
        route=row_route(row),
        noise=None if noise is None else Path(noise).name,
        snr_db=row["snr_db"],
    )


def row_route(row: dict[str, Any]) -> Route:
    """Modality and rates of a row of a results file."""
    rates = {name: row[name] for name in ("modality", "audio_rate", "video_rate")}
    return Route(**rates)


def read_results(path: Path, name: str | None = None) -> Results:
    """Read a results file.

    Args:
        path: written by ``avsr evaluate``.
        name: how it is shown; None is the file's name.

    Raises:
        UsageError: if it is missing or is no results file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return _parse(values, name or path.stem)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; avsr evaluate writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from None
    except json.JSONDecodeError:
        raise UsageError(
            f"{path}: is no results file; give the .json that avsr evaluate wrote"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: is no results file of avsr evaluate ({type(error).__name__}: {error}); "
            "run the evaluation again"
        ) from None


def _parse(values: dict[str, Any], name: str) -> Results:
    rows, utterances = values["rows"], values["utterances"]
    for row in rows:
        for key in _ROW_KEYS:
            row[key]  # a missing one is a KeyError
    if not rows or not utterances:
        raise ValueError("it has no rows or no utterances")
    if any(len(utterance["hypotheses"]) != len(rows) for utterance in utterances):
        raise ValueError("an utterance has not one hypothesis for each row")
    return Results(
        name=name,
        settings=values["settings"],
        rows=tuple(rows),
        ids=tuple(str(utterance["id"]) for utterance in utterances),
        references=tuple(str(utterance["reference"]) for utterance in utterances),
        hypotheses=tuple(zip(*(utterance["hypotheses"] for utterance in utterances), strict=True)),
    )

"""Several results side by side: the table a paper prints, and paired tests against the first."""

from collections.abc import Sequence
from dataclasses import dataclass

from avsr.errors import UsageError
from avsr.scoring.results import Results, RowKey
from avsr.scoring.scores import Score
from avsr.scoring.significance import N_PERMUTATIONS, PairedTest, paired_test
from avsr.scoring.tables import Table, percent

_SAME_SETTINGS = ("seed", "noises")


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One condition under all systems.

    Attributes:
        label: the condition.
        scores: of each system; None where it was not evaluated under it.
        tests: of each system but the first against the first; None where one is missing.
    """

    label: str
    scores: tuple[Score | None, ...]
    tests: tuple[PairedTest | None, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Systems compared on the same clips.

    Attributes:
        names: of the systems.
        rows: one for each condition, in the order of the files.
        notes: what a reader must know, one sentence each.
    """

    names: tuple[str, ...]
    rows: tuple[ComparedRow, ...]
    notes: tuple[str, ...]

    def table(self) -> Table:
        """WER of each system, the best of a row in bold, with difference and p-value."""
        first, *others = self.names
        header = ["WER %", first]
        for name in others:
            header += [name, "difference", "95 %", "p"]
        lines, bold = [], set()
        for number, row in enumerate(self.rows):
            cells, columns = [row.label], {}
            for system, score in enumerate(row.scores):
                columns[len(cells)] = score
                cells.append("-" if score is None else percent(score.total.wer))
                if system:
                    cells += _test_cells(row.tests[system - 1])
            rates = [score.total.wer for score in columns.values() if score is not None]
            bold |= {
                (number, column)
                for column, score in columns.items()
                if score is not None and len(rates) > 1 and score.total.wer == min(rates)
            }
            lines.append(tuple(cells))
        return Table(header=tuple(header), rows=tuple(lines), bold=frozenset(bold))


def compare(systems: Sequence[Results], normaliser: str, *, seed: int = 0) -> Comparison:
    """Compare results row by row.

    Rows are those of the same modality, rates, noise and ratio. Files of a single row each are
    compared whatever the row is, so that one rate can be tested against another.

    Args:
        systems: at least two.
        normaliser: under which words are counted.
        seed: of the tests.

    Raises:
        UsageError: if they are not of the same clips and texts, or have no row in common.
    """
    for other in systems[1:]:
        _check_same_clips(systems[0], other)
    labels = _matched(systems)
    scores = [
        dict(zip(rows, system.scores(normaliser, list(rows.values())), strict=True))
        for system, rows in zip(systems, labels, strict=True)
    ]
    compared = []
    for label in dict.fromkeys(label for rows in labels for label in rows):
        found = tuple(system.get(label) for system in scores)
        tests = tuple(_test(found[0], other, seed) for other in found[1:])
        compared.append(ComparedRow(label=label, scores=found, tests=tests))
    if not any(test is not None for row in compared for test in row.tests):
        raise UsageError(
            f"{systems[0].name} and {systems[1].name} have no row in common: evaluate both with "
            "the same modalities, rates and noises, or give files of one row each"
        )
    return Comparison(
        names=tuple(system.name for system in systems),
        rows=tuple(compared),
        notes=tuple(_notes(systems, len(compared))),
    )


def _matched(systems: Sequence[Results]) -> list[dict[str, int]]:
    """For each system, its rows by the label under which they are compared."""
    keys = [system.keys for system in systems]
    if all(len(rows) == 1 for rows in keys) and len({rows[0] for rows in keys}) > 1:
        label = " / ".join(str(rows[0]) for rows in keys)
        return [{label: 0} for _ in systems]
    return [{str(key): number for number, key in enumerate(rows)} for rows in keys]


def _check_same_clips(first: Results, other: Results) -> None:
    here = dict(zip(first.ids, first.references, strict=True))
    there = dict(zip(other.ids, other.references, strict=True))
    if here.keys() != there.keys():
        lonely = sorted(here.keys() ^ there.keys())
        raise UsageError(
            f"{first.name} and {other.name} are of different clips ({len(lonely)} are in one file "
            f"only, such as {lonely[0]}): evaluate both on the same manifest"
        )
    for clip, text in here.items():
        if there[clip] != text:
            raise UsageError(
                f"{first.name} and {other.name} have different texts for {clip}: evaluate both "
                "on the same manifest"
            )
    if first.ids != other.ids:
        raise UsageError(
            f"{first.name} and {other.name} have their clips in different orders: evaluate both "
            "on the same manifest"
        )


def _test(first: Score | None, other: Score | None, seed: int) -> PairedTest | None:
    if first is None or other is None:
        return None
    return paired_test(first.errors, other.errors, first.words, seed=seed)


def _test_cells(test: PairedTest | None) -> list[str]:
    if test is None:
        return ["-", "-", "-"]
    low, high = test.interval
    p = "<0.001" if test.p_value < 0.001 else f"{test.p_value:.3f}"
    return [f"{100 * test.difference:+.2f}", f"{100 * low:+.1f} to {100 * high:+.1f}", p]


def _notes(systems: Sequence[Results], n_rows: int) -> list[str]:
    first = systems[0]
    n_words = sum(len(text.split()) for text in first.references)
    notes = [
        f"{len(first.ids)} clips, {n_words} words; differences are to {first.name}, their 95 % by "
        f"bootstrap, p by {N_PERMUTATIONS} permutations of paired clips (two-sided"
        + (", not corrected for the number of rows)" if n_rows > 1 else ")")
    ]
    for other in systems[1:]:
        for name in _SAME_SETTINGS:
            if _noisy(first) and first.settings.get(name) != other.settings.get(name):
                notes.append(f"{other.name} was evaluated with another {name} than {first.name}")
    return notes


def _noisy(system: Results) -> bool:
    return any(_is_noisy(key) for key in system.keys)


def _is_noisy(key: RowKey) -> bool:
    return key.noise is not None

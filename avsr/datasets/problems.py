"""What can be wrong with the clips of a corpus, counted and listed the same way everywhere."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_LISTED = 100  # problems of a kind shown in full

ProblemKind = Literal[
    "missing label",
    "empty text",
    "bad label",
    "duplicate id",
    "unreadable",
    "damaged",
    "no face",
    "low coverage",
    "no sound",
    "too long",
    "unknown words",
]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with one clip.

    Attributes:
        kind: for counting.
        id: the clip, or the place in a label file where it has no id.
        detail: what exactly, one line.
    """

    kind: ProblemKind
    id: str
    detail: str


def count_problems(problems: Iterable[Problem]) -> dict[ProblemKind, int]:
    """How many problems of each kind, in the order of first appearance."""
    return dict(Counter(problem.kind for problem in problems))


def problem_lines(problems: Sequence[Problem], complete_list: str) -> Iterator[str]:
    """One line for each problem, kind by kind, then one with the counts.

    Args:
        problems: in any order.
        complete_list: the file that lists all of a kind that is too long to show.
    """
    counts = count_problems(problems)
    for kind, count in counts.items():
        members = [problem for problem in problems if problem.kind == kind]
        for problem in members[:_LISTED]:
            yield f"{kind}: {problem.id}: {problem.detail}"
        if count > _LISTED:
            yield f"{kind}: {count - _LISTED} more; {complete_list} has all"
    if counts:
        yield "problems: " + ", ".join(f"{count} {kind}" for kind, count in counts.items())

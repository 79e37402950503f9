"""``avsr compare``: results of several evaluations side by side, with paired tests."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from avsr.commands.messages import say
from avsr.commands.options import Debug, print_version
from avsr.errors import UsageError


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="A.json B.json ...", help="Results files.", show_default=False),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="List of names to show, one for each file. Default: the file names."),
    ] = None,
    normaliser: Annotated[
        Literal["lrs3", "whisper"], typer.Option(help="How texts are made comparable.")
    ] = "lrs3",
    style: Annotated[
        Literal["text", "markdown", "csv", "latex"],
        typer.Option("--format", "-f", envvar="AVSR_COMPARE_FORMAT", help="Of the table."),
    ] = "text",
    seed: Annotated[int, typer.Option(help="Of the tests' random draws.")] = 0,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Print the word error rates of several evaluations, and test them against the first.

    All must be of the same clips. Each row is one modality, rate pair and noise; files of one row
    each are compared whatever their rates. A small p means that chance explains the difference
    badly.
    """
    names = [item.strip() for item in name.split(",")] if name else _names(results)
    if len(names) != len(results):
        raise UsageError(f"--name gives {len(names)} names for {len(results)} files")

    from avsr.scoring.comparison import compare as run_comparison
    from avsr.scoring.results import read_results

    systems = [read_results(path, label) for path, label in zip(results, names, strict=True)]
    if len(systems) < 2:
        raise UsageError(f"{results[0]} is one results file: give the one to compare it with too")
    comparison = run_comparison(systems, normaliser, seed=seed)
    print(comparison.table().render(style), end="", flush=True)
    for note in comparison.notes:
        say(note)
    return 0


def _names(paths: list[Path]) -> list[str]:
    """The files' names without their endings, or with folders where two are alike."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    return [str(path.with_suffix("")) for path in paths]

"""``avsr prepare``: a corpus in, mouth crops, 16 kHz sound and a manifest out."""

from pathlib import Path
from typing import Annotated

import typer

from avsr.commands.interruption import goes_on
from avsr.commands.messages import say
from avsr.commands.options import Debug, Layout, Ray, Split, print_version, ray_cluster
from avsr.commands.progress import ProgressDisplay
from avsr.datasets.cutting import LONGEST_S
from avsr.errors import InputError


def prepare(
    source: Annotated[
        Path, typer.Argument(help="Folder of the corpus, or a label file.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to fill.", show_default=False),
    ],
    layout: Layout = "auto",
    split: Split = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes. Default: all cores.")
    ] = None,
    ray: Ray = None,
    max_seconds: Annotated[
        float, typer.Option(min=1.0, help="Long LRS clips are cut at words to at most this.")
    ] = LONGEST_S,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many clips.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything is wrong with any clip.")
    ] = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Decode a corpus and find the mouths once.

    DIR/manifest.jsonl then serves evaluate and train. A run that was stopped goes on where it was
    when started again. Clips that fail, or show no face, stay in the manifest, marked and listed.
    """
    goes_on("the same command goes on from there")
    progress = ProgressDisplay()
    progress.waiting("loading libraries")
    from avsr.preparation.corpus import PreparationSettings
    from avsr.preparation.corpus import prepare as run

    settings = PreparationSettings(
        source=source,
        output=output,
        layout=layout,
        split=split,
        jobs=jobs,
        cluster=ray_cluster(ray, None),
        longest_s=max_seconds,
        limit=limit,
    )
    report = run(settings, say=say, progress=progress)
    if report.n_failed == report.n_clips:
        first = next(one.detail for one in report.problems if one.kind == "unreadable")
        raise InputError(f"no clip could be read; the first reason: {first}")
    return 1 if strict and report.problems else 0

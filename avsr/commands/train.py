"""``avsr train``: train a model from a settings file."""

import os
from pathlib import Path
from typing import Annotated

import typer

from avsr.commands.messages import say
from avsr.commands.options import Debug, print_version
from avsr.commands.progress import ProgressDisplay


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.yaml", help="Settings.", show_default=False)
    ],
    more: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MORE.yaml]... [KEY=VALUE]...",
            help="More files, whose settings win over those before them, and settings to change, "
            "such as optimizer.epochs=4.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the settings and print all of them.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything is wrong with any clip.")
    ] = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Train a model, or go on where the same run was stopped.

    The run's folder (the setting output) holds its settings, log and checkpoints, and at the end
    the folder model. Start it by accelerate launch for several GPUs or machines. What is wrong with
    clips is listed at the end.
    """
    from avsr.training.settings_file import dump_settings, load_settings

    files, overrides = [config], []
    for word in more or ():
        if word.endswith((".yaml", ".yml")) and "=" not in word:
            files.append(Path(word))
        else:
            overrides.append(word)
    if check:
        print(dump_settings(load_settings(files, overrides)), end="", flush=True)
    settings = load_settings(files, overrides, files=True)
    if check:
        return 0

    progress = ProgressDisplay()
    speaks = os.environ.get("RANK", "0") == "0"  # one process of several
    if speaks:
        progress.waiting("loading libraries")
    from avsr.datasets.problems import problem_lines
    from avsr.training.run import train as run
    from avsr.training.run_folder import RunFolder

    model = run(settings, inputs=[config], say=say, progress=progress)
    progress.close()  # a run may stop before its last step
    problems = RunFolder(settings.output).problems()
    if speaks:
        for line in problem_lines(problems, f"{settings.output}/run.json"):
            say(line)
        print(model)
    return 1 if strict and problems else 0

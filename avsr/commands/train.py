"""``avsr train``: train a model from a settings file."""

from pathlib import Path
from typing import Annotated

import typer

from avsr.commands.messages import ProgressLine, say
from avsr.commands.options import Debug, print_version


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.yaml", help="Settings.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="Settings to change, such as optimizer.epochs=4."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the settings and print all of them.")
    ] = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Train a model, or go on where the same run was stopped.

    The run's folder (the setting output) holds its settings, log and checkpoints, and at the end
    the folder model. Start it by accelerate launch for several GPUs or machines.
    """
    from avsr.training.settings_file import dump_settings, load_settings

    settings = load_settings(config, overrides or ())
    if check:
        print(dump_settings(settings), end="")
        return 0

    from avsr.training.run import train as run

    print(run(settings, say=say, progress=ProgressLine()))
    return 0

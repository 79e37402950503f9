"""``avsr doctor``: is this installation whole?"""

from typing import Annotated

import typer

from avsr.commands.messages import say
from avsr.commands.options import Debug


def doctor(
    load: Annotated[
        bool,
        typer.Option(
            "--load",
            help="Also load every library and model and read with them; takes ten seconds or more.",
        ),
    ] = False,
    debug: Debug = False,
) -> int:
    """Check versions, libraries, models, write access and licences.

    Prints a line for each, in a second or two; with --load also what the devices are. Nothing is
    downloaded or sent. The exit code is 1 if something is broken.
    """
    from avsr.doctor import examine

    n_broken = 0
    for finding in examine(load=load):
        n_broken += finding.is_broken
        mark = "BROKEN" if finding.is_broken else "ok"
        print(f"{mark:7}{finding.about:17}{finding.text}", flush=True)
    if n_broken:
        say(f"avsr: {n_broken} thing(s) broken, see above")
    elif not load:
        say("what there is was not tried: avsr doctor --load reads with it")
    return 1 if n_broken else 0

"""``avsr doctor``: is this installation whole?"""

from avsr.commands.messages import say
from avsr.commands.options import Debug


def doctor(debug: Debug = False) -> int:
    """Check versions, devices, face models, the bundled model, write access and licences.

    Prints a line for each. Nothing is downloaded or sent. The exit code is 1 if something is
    broken.
    """
    from avsr.doctor import examine

    n_broken = 0
    for finding in examine():
        n_broken += finding.is_broken
        mark = "BROKEN" if finding.is_broken else "ok"
        print(f"{mark:7}{finding.about:16}{finding.text}", flush=True)
    if n_broken:
        say(f"avsr: {n_broken} thing(s) broken, see above")
    return 1 if n_broken else 0

"""``avsr demo``: the graphical demo in a browser, served from this machine."""

from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from avsr.commands.messages import say
from avsr.commands.options import Debug, Device, Model, Offline
from avsr.commands.progress import ProgressDisplay
from avsr.errors import UsageError


def demo(
    model: Model = "auto",
    device: Device = "auto",
    offline: Offline = False,
    host: Annotated[
        str, typer.Option(help="Address to serve. The default is for this machine's users only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 7860,
    workers: Annotated[
        int, typer.Option(min=1, help="Visitors served at once; the others queue.")
    ] = 1,
    max_seconds: Annotated[float, typer.Option(min=1, help="Longest recording.")] = 60.0,
    max_megabytes: Annotated[float, typer.Option(min=1, help="Largest file.")] = 200.0,
    debug: Debug = False,
) -> None:
    """Open a page that hears and lip-reads recordings side by side.

    Nothing is sent anywhere; recordings are deleted after use. What the model needs is fetched the
    first time.
    """
    if find_spec("gradio") is None:
        raise UsageError("the demo needs Gradio: pip install 'avsr[demo]'")
    # By name: the demo builds on avsr, which must not depend on it.
    import_module("avsr_demo.serve").serve(
        model=model,
        device=device,
        host=host,
        port=port,
        workers=workers,
        max_s=max_seconds,
        max_megabytes=max_megabytes,
        say=say,
        progress=ProgressDisplay(),
    )

"""``avsr live``: captions while somebody speaks."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from avsr.commands.live_captions import LiveCaptions
from avsr.commands.messages import say
from avsr.commands.options import Debug, Device, FileModality, Model, Offline
from avsr.commands.progress import ProgressDisplay
from avsr.errors import UsageError
from avsr.progress import Say, say_in_log, show_nothing


def live(
    model: Model = "auto",
    modality: Annotated[
        FileModality,
        typer.Option(
            help="auto and av use what comes; audio needs no camera, video no microphone."
        ),
    ] = "auto",
    camera: Annotated[
        str | None,
        typer.Option(help="As FFmpeg calls it, such as /dev/video1. Default: the first."),
    ] = None,
    microphone: Annotated[
        str | None,
        typer.Option(help="Number or part of the name. Default: the system's."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A recording in place of the devices, see --as-if-live."),
    ] = None,
    as_if_live: Annotated[
        bool,
        typer.Option("--as-if-live", help="Play the file's sound and pictures in real time."),
    ] = False,
    vtt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write subtitles that grow by each sentence."),
    ] = None,
    json_lines: Annotated[
        bool,
        typer.Option("--json-lines", help="Report on standard output as JSON, a line each time."),
    ] = False,
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: PyTorch's choice.")
    ] = None,
    offline: Offline = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only errors on standard error.")
    ] = False,
    debug: Debug = False,
) -> int:
    """Show what is being said, from camera and microphone, until Ctrl+C.

    Words that may still change are dimmed; the others are never taken back. Nothing is kept or
    sent. The largest face is read.
    """
    if (file is None) == as_if_live:
        raise UsageError(
            "--as-if-live plays a file: add --file FILE"
            if as_if_live
            else f"{file}: add --as-if-live, or read it at once with avsr transcribe"
        )
    if file is not None and (camera or microphone):
        raise UsageError("--file stands in place of --camera and --microphone: leave them out")
    import torch

    from avsr.live.clocks import WallClock
    from avsr.live.devices import Devices
    from avsr.live.sources import AsIfLive, captions
    from avsr.recognizer import load  # transformers: seconds

    if threads is not None:
        torch.set_num_threads(threads)
    progress = show_nothing if quiet else ProgressDisplay()
    tell: Say = say_in_log if quiet else say
    recognizer = load(model, device, offline=offline, say=tell, progress=progress)
    sound, picture = modality != "video", modality != "audio"
    with ExitStack() as stack:
        route = recognizer.loaded.route(recognizer.loaded.modalities[0])
        shown = stack.enter_context(
            LiveCaptions(route, json_lines=json_lines, quiet=quiet, vtt=vtt)
        )
        stream = stack.enter_context(recognizer.stream(modality=modality))
        clock = WallClock()
        if file is not None:
            source = AsIfLive(file, sound=sound, picture=picture)
        else:
            source = stack.enter_context(
                Devices(clock, camera=camera, microphone=microphone, sound=sound, picture=picture)
            )
        if not quiet:
            say(f"{recognizer.loaded.name} listens; Ctrl+C ends it")
        try:
            for _, update in captions(stream, source, clock):
                shown.show(update)
        except KeyboardInterrupt:
            shown.show(stream.finish())
    return 0

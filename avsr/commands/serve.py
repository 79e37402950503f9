"""``avsr serve``: transcriptions for programs, as the clients of OpenAI ask for them."""

import ipaddress
import os
from importlib.util import find_spec
from typing import Annotated

import typer

from avsr.commands.messages import say
from avsr.commands.options import Debug, Device, Model, Offline, split_list
from avsr.commands.progress import ProgressDisplay
from avsr.errors import UsageError

_KEYS = "AVSR_API_KEYS"
_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "websockets")


def serve(
    model: Model = "auto",
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the model. Default: PyTorch's choice.")
    ] = None,
    offline: Offline = False,
    host: Annotated[
        str, typer.Option(help="Address to serve. The default is for this machine's users only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8000,
    without_keys: Annotated[
        bool,
        typer.Option(
            "--without-keys", help=f"Serve other machines although {_KEYS} names no keys."
        ),
    ] = False,
    alias: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="What requests may also call the model: whisper-1,..."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Requests worked on at once; the model reads them together.")
    ] = 8,
    queue: Annotated[
        int, typer.Option(min=0, help="Requests that may wait; more are refused.")
    ] = 32,
    max_seconds: Annotated[float, typer.Option(min=1, help="Longest recording.")] = 600.0,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Largest request.")] = 200.0,
    live: Annotated[
        int, typer.Option(min=0, help="Live connections at once; each keeps about a core busy.")
    ] = 2,
    live_seconds: Annotated[float, typer.Option(min=1, help="Longest live connection.")] = 14_400.0,
    patience: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Longest pause of a client.")
    ] = 30.0,
    stop_within: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Time to finish what runs at the end.")
    ] = 60.0,
    debug: Debug = False,
) -> None:
    """Answer requests for transcriptions as OpenAI's API does, video files included.

    POST /v1/audio/transcriptions, GET /v1/models, /health, /ready, /metrics; live captions by the
    WebSocket /v1/live. The environment's
    AVSR_API_KEYS (several with commas) says who may ask. Uploads are deleted after use.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"the server needs {', '.join(missing)}: pip install 'avsr[serve]'")
    keys = tuple(key.strip() for key in os.environ.get(_KEYS, "").split(",") if key.strip())
    if not keys and not without_keys and not _is_this_machine(host):
        raise UsageError(
            f"{host} is open to other machines: name the keys of those who may ask in {_KEYS}, or "
            "give --without-keys"
        )
    import torch

    from avsr.recognizer import load
    from avsr.serving.server import Server
    from avsr.serving.server import serve as run_server
    from avsr.serving.settings import ServerSettings

    if threads is not None:
        torch.set_num_threads(threads)
    settings = ServerSettings(
        workers=workers,
        queue=queue,
        max_megabytes=max_megabytes,
        max_seconds=max_seconds,
        patience_s=patience,
        live=live,
        live_seconds=live_seconds,
        keys=keys,
        aliases=tuple(split_list(alias, "--alias")) if alias else (),
    )
    recognizer = load(model, device, offline=offline, say=say, progress=ProgressDisplay())
    if recognizer.loaded.note:
        say(recognizer.loaded.note)
    server = Server(recognizer, settings, host=host, port=port, stop_within_s=stop_within)
    run_server(server, say)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

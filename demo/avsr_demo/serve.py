"""Starting the demo, waiting for its end, and leaving nothing behind."""

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import avsr
from avsr.errors import UsageError
from avsr.progress import Progress, Say
from avsr_demo.limits import Limits
from avsr_demo.live_route import LiveRoute
from avsr_demo.samples import samples
from avsr_demo.service import Service
from avsr_demo.storage import Storage
from avsr_demo.workers import Workers


def serve(
    *,
    model: str,
    device: str,
    host: str,
    port: int,
    workers: int,
    max_s: float,
    max_megabytes: float,
    say: Say,
    progress: Progress,
) -> None:
    """Serve the page until the process is interrupted or told to end.

    Args:
        model: as :func:`avsr.load` takes it.
        device: as :func:`avsr.load` takes it.
        host: address to listen on; loopback serves this machine only.
        port: 0 takes any free one.
        workers: visitors served at once; the others queue.
        max_s: longest recording, in seconds.
        max_megabytes: largest file.
        say: tells the user where the page is, and what the model needs.
        progress: shows how much of that has been fetched.

    Raises:
        UsageError: if the address cannot be listened on.
        ModelUnavailableError: if the model cannot be loaded.
    """
    port = port or _free_port(host)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    recognizer = avsr.load(model, device, say=say, progress=progress)
    recognizer.warm_up()
    storage = Storage()
    service = Service(
        recognizer=recognizer,
        limits=Limits(duration_s=max_s, megabytes=max_megabytes),
        storage=storage,
        workers=Workers(workers),
    )
    live = LiveRoute(recognizer)
    try:
        page = _launch(service, live, host, port, workers)
        say(f"the demo runs at http://{host}:{port} (Ctrl+C ends it)")
        while not ended.wait(1.0):
            pass
        page.close()
        live.close()
    finally:
        service.close()


def _launch(service: Service, live: LiveRoute, host: str, port: int, workers: int) -> Any:
    """Start the web server; returns Gradio's page."""
    _keep_to_ourselves(service.storage.root)
    from avsr_demo.page import (
        build_page,
        threads_of_page,
    )  # Gradio reads the environment when it is imported
    from avsr_demo.theme import ASSETS, scripts, theme

    page = build_page(service)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            inbrowser=False,
            quiet=True,
            prevent_thread_lock=True,
            app_kwargs={"routes": live.routes},
            show_error=True,
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            max_threads=threads_of_page(workers),
            max_file_size=round(service.limits.megabytes * 1e6),
            footer_links=["api"],
            theme=theme(),
            css_paths=[ASSETS / "page.css"],
            head="".join(f"<script>{text}</script>" for text in scripts()),
            favicon_path=ASSETS / "icon.png",
            allowed_paths=[str(sample.path) for sample in samples()],
        )
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port} ({error}); choose another port"
        ) from error
    return page


def _keep_to_ourselves(folder: Path) -> None:
    """Tell Gradio and the hub's client to send nothing, and to keep files in our folder."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples")


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]

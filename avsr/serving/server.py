"""Starting a server, waiting for its end, and leaving nothing behind."""

import signal
import socket
import threading
import time
from types import FrameType

import uvicorn

from avsr.errors import UsageError
from avsr.progress import Say
from avsr.recognizer import Recognizer
from avsr.serving.app import Service, build_app
from avsr.serving.connections import patient_protocol
from avsr.serving.line import Line
from avsr.serving.metrics import Metrics
from avsr.serving.settings import ServerSettings
from avsr.serving.uploads import UploadFolder
from avsr.serving.work import Transcriber

__all__ = ["serve"]

_SPARE_CONNECTIONS = 256  # beside those with a place in the line: who watches, who is refused


def serve(
    recognizer: Recognizer,
    settings: ServerSettings,
    *,
    host: str,
    port: int,
    stop_within_s: float,
    say: Say,
) -> None:
    """Serve until the process is interrupted or told to end, then finish what runs.

    Args:
        recognizer: the model.
        settings: what is allowed.
        host: address to listen on; loopback serves this machine only.
        port: 0 takes any free one.
        stop_within_s: what has not ended so long after the signal is broken off.
        say: tells the user where the server is.

    Raises:
        UsageError: if the address cannot be listened on.
    """
    listener = _listen(host, port)
    recognizer.warm_up()
    line, uploads = Line(settings), UploadFolder()
    service = Service(
        transcriber=Transcriber(recognizer=recognizer, line=line, settings=settings),
        uploads=uploads,
        metrics=Metrics(line, recognizer.joint),
        started=int(time.time()),
    )
    config = uvicorn.Config(
        build_app(service),
        http=patient_protocol(settings.patience_s),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.workers + settings.queue + _SPARE_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(stop_within_s)),
    )
    server = uvicorn.Server(config)
    try:
        _run(server, listener, say)
    finally:
        uploads.close()
        line.close()


def _run(server: uvicorn.Server, listener: socket.socket, say: Say) -> None:
    """Run in a thread, so that this one hears signals; a second one breaks off what runs."""

    def end(number: int, frame: FrameType | None) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    say(f"the server runs at http://{shown}:{port}/v1 (Ctrl+C ends it)")
    thread = threading.Thread(target=server.run, args=([listener],), name="server")
    thread.start()
    while thread.is_alive():
        thread.join(0.2)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        message = f"cannot listen on {host}:{port} ({error.strerror or error}); choose another port"
        raise UsageError(message, settings=("port",)) from error

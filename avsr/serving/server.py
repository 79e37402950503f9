"""Starting a server, waiting for its end, and leaving nothing behind."""

import signal
import socket
import threading
import time

import uvicorn

from avsr.errors import UsageError
from avsr.live.wire import LARGEST_MESSAGE
from avsr.progress import Say
from avsr.recognizer import Recognizer
from avsr.serving.app import Service, build_app
from avsr.serving.connections import patient_protocol
from avsr.serving.line import Line
from avsr.serving.live_room import LiveLimits, LiveRoom
from avsr.serving.metrics import Metrics
from avsr.serving.settings import ServerSettings
from avsr.serving.uploads import UploadFolder
from avsr.serving.work import Transcriber

__all__ = ["Server", "serve"]

_LOOK_AGAIN_S = 0.2
_SPARE_CONNECTIONS = 256  # beside those with a place in the line: who watches, who is refused


class Server:
    """A server that runs in a thread, from :meth:`start` to :meth:`stop`.

    Attributes:
        address: where it is, ``http://...`` without a path.
        service: what its routes share.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        settings: ServerSettings,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        stop_within_s: float = 60.0,
    ) -> None:
        """Take the address and get the threads ready; nobody is answered yet.

        Args:
            recognizer: the model.
            settings: what is allowed.
            host: address to listen on; loopback serves this machine only.
            port: 0 takes any free one.
            stop_within_s: what has not ended so long after :meth:`stop` is broken off.

        Raises:
            UsageError: if the address cannot be listened on.
        """
        self._listener = _listen(host, port)
        own_host, own_port = self._listener.getsockname()[:2]
        shown = f"[{own_host}]" if ":" in own_host else own_host
        self.address = f"http://{shown}:{own_port}"
        line = Line(settings)
        line.warm_up(recognizer.warm_up)
        limits = LiveLimits(
            sessions=settings.live,
            duration_s=settings.live_seconds,
            patience_s=settings.patience_s,
        )
        live = LiveRoom(recognizer, limits)
        self.service = Service(
            transcriber=Transcriber(recognizer=recognizer, line=line, settings=settings),
            uploads=UploadFolder(),
            live=live,
            metrics=Metrics(line, live, recognizer.joint),
            started=int(time.time()),
        )
        config = uvicorn.Config(
            build_app(self.service),
            http=patient_protocol(settings.patience_s),
            ws="websockets-sansio",
            ws_max_size=LARGEST_MESSAGE,
            ws_per_message_deflate=False,  # JPEGs do not get smaller
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=settings.workers + settings.queue + _SPARE_CONNECTIONS,
            timeout_graceful_shutdown=max(1, round(stop_within_s)),
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([self._listener],), name="server"
        )

    @property
    def is_running(self) -> bool:
        """Whether requests are answered, or being finished."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Answer requests from here on."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests and finish what runs; a second call breaks that off."""
        self._uvicorn.force_exit = self._uvicorn.should_exit
        self._uvicorn.should_exit = True

    def close(self) -> None:
        """Wait for the end, and leave no file behind."""
        while self._thread.is_alive():
            self._thread.join(_LOOK_AGAIN_S)  # signals are heard in between
        self.service.uploads.close()
        self.service.transcriber.line.close()
        self.service.live.close()


def serve(server: Server, say: Say) -> None:
    """Run a server until the process is interrupted or told to end, then finish what runs.

    Args:
        server: not started yet.
        say: tells the user where it is.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    server.start()
    say(f"the server runs at {server.address}/v1 (Ctrl+C ends it)")
    server.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        message = f"cannot listen on {host}:{port} ({error.strerror or error}); choose another port"
        raise UsageError(message, settings=("port",)) from error

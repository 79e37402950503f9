"""A server for tests, and the requests that one sends to it by hand."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from avsr.recognizer import Recognizer
from avsr.serving.server import Server
from avsr.serving.settings import ServerSettings

SAMPLES = Path(__file__).parents[1] / "demo" / "samples"
ROUTE = "/v1/audio/transcriptions"


@contextmanager
def running_server(recognizer: Recognizer, **settings: Any) -> Iterator[Server]:
    """A server in this process, on a free port; it ends, and leaves nothing behind."""
    server = Server(recognizer, ServerSettings(**settings))
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.close()
        assert not server.service.uploads.root.exists()


def ask(server: Server, path: Path, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """Send a file; the response."""
    name = os.fsencode(path.name).decode("utf-8", "replace")
    with path.open("rb") as file:
        return httpx.post(
            server.address + ROUTE,
            files={"file": (name, file)},
            data={"model": server.service.transcriber.recognizer.loaded.name} | fields,
            headers=headers,
            timeout=120,
        )


def connect(server: Server) -> socket.socket:
    """A bare connection."""
    address = urlsplit(server.address)
    return socket.create_connection((address.hostname, address.port or 80), timeout=30)


def raw_request(path: Path, **fields: str) -> tuple[bytes, bytes]:
    """Head and body of a request, as a client sends them."""
    request = httpx.Request(
        "POST",
        f"http://server{ROUTE}",
        files={"file": (path.name, path.read_bytes())},
        data={"model": "grid-tiny"} | fields,
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST {ROUTE} HTTP/1.1\r\n{head}\r\n".encode(), request.read()


def wait_until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Wait for something that happens in other threads."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "this should have happened"
        time.sleep(0.02)


def stored(server: Server) -> list[Path]:
    """Uploads that are there."""
    return list(server.service.uploads.root.iterdir())

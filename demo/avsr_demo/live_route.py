"""Live captions beside Gradio's page: a WebSocket for each visitor, and the babble to mix in.

The messages are those of ``avsr serve``, see ``docs/serve.md``. Nothing is stored.
"""

import io
import wave
from functools import cache
from urllib.parse import urlsplit

import numpy as np
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from avsr import Recognizer, Request
from avsr.serving.live_room import LiveLimits, LiveRoom
from avsr.serving.live_start import Start
from avsr.serving.questions import read_request
from avsr_demo.babble import babble
from avsr_frontends.rates import SAMPLE_RATE

LIMITS = LiveLimits(sessions=3, duration_s=600.0)  # the three readings of one visitor
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class LiveRoute:
    """Answers the page's live tab.

    Attributes:
        routes: for the web server, relative to the page.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        """Prepare; the recogniser may be shared."""
        self._recognizer, self._room = recognizer, LiveRoom(recognizer, LIMITS)
        self.routes: list[BaseRoute] = [
            WebSocketRoute("/live", self._serve),
            Route("/live/babble.wav", _babble),
        ]

    def close(self) -> None:
        """Wait for what runs; the web server must have ended."""
        self._room.close()

    async def _serve(self, socket: WebSocket) -> None:
        if _is_foreign(socket):
            await socket.close()  # before it is accepted: 403
            return
        await self._room.serve(socket, self._admit)

    def _admit(self, start: Start) -> Request:
        return read_request(start.fields, self._recognizer)


def _is_foreign(socket: WebSocket) -> bool:
    """Whether another web site uses a demo that runs on its visitor's own machine."""
    origin = urlsplit(socket.headers.get("origin", "")).hostname
    here = urlsplit(f"//{socket.headers.get('host', '')}").hostname
    return here in _THIS_MACHINE and origin is not None and origin not in _THIS_MACHINE


def _babble(_: HttpRequest) -> Response:
    return Response(_babble_file(), media_type="audio/wav")


@cache
def _babble_file() -> bytes:
    """Every browser decodes WAV, not every one Ogg."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes((babble() * 32767).astype(np.int16).tobytes())
    return file.getvalue()

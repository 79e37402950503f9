"""Live connections: sound and pictures come over a WebSocket, captions go back while they do.

The server and the demo share this; the messages are described in ``docs/serve.md``.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from avsr.live.events import live_events
from avsr.live.remote import ConnectionGone, RemoteSource
from avsr.live.sources import captions
from avsr.live.wire import BadMessageError, comes_at
from avsr.memory import release_memory
from avsr.recognition.request import Request
from avsr.recognizer import Recognizer
from avsr.serving.live_start import Start, read_start, read_values
from avsr.serving.refusals import ClientGone, Refusal, refusal_of

__all__ = ["LiveLimits", "LiveRoom"]

_logger = logging.getLogger(__name__)

_CLIENT_GONE = 499  # what web servers note for it
_CLOSE_CODES = 4000  # a WebSocket that ends with an HTTP status closes with this plus the status
_JUMP_S = 1.0  # beyond the longest pause, that a message may be later than the one before
_RETRY_AFTER_S = 30

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LiveLimits:
    """What is allowed.

    Attributes:
        sessions: connections at once, each with a thread and a face tracker of its own.
        duration_s: longest connection.
        patience_s: longest pause of a client that sends or receives.
    """

    sessions: int = 2
    duration_s: float = 14_400.0
    patience_s: float = 30.0


Admit = Callable[[Start], Request]


class LiveRoom:
    """Has room for some live connections; to be used in one event loop.

    Attributes:
        n_inside: connections that are being read.
    """

    def __init__(self, recognizer: Recognizer, limits: LiveLimits) -> None:
        """Prepare.

        Args:
            recognizer: the model, which others may share.
            limits: what is allowed.
        """
        self._recognizer, self._limits = recognizer, limits
        self._pool = ThreadPoolExecutor(max(1, limits.sessions), thread_name_prefix="live")
        self.n_inside = 0

    async def serve(self, socket: WebSocket, admit: Admit) -> int:
        """Read a connection to its end.

        Args:
            socket: not accepted yet.
            admit: says how to read, or raises :class:`Refusal`.

        Returns:
            What it ended with, an HTTP status; 499 is a client that left.
        """
        try:
            await socket.accept()
            request = admit(read_start(await self._message(socket)))
            with self._place():
                await self._read(socket, request)
            await socket.close()
            return 200
        except Refusal as refusal:
            with suppress(ClientGone, WebSocketDisconnect):
                await self._send(socket, {"event": "error"} | refusal.to_dict())
                await socket.close(_CLOSE_CODES + refusal.status)
            return refusal.status
        except (ClientGone, WebSocketDisconnect):
            return _CLIENT_GONE

    def close(self) -> None:
        """Wait for what runs; its clients must have been sent away."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self.n_inside >= self._limits.sessions:
            message = (
                f"{self.n_inside} live connections are open, and no more are taken; try again in "
                f"{_RETRY_AFTER_S} s"
            )
            raise Refusal(429, message, code="queue_full", retry_after_s=_RETRY_AFTER_S)
        self.n_inside += 1
        try:
            yield
        finally:
            self.n_inside -= 1

    async def _read(self, socket: WebSocket, request: Request) -> None:
        """Have a thread read what comes, and send what it says.

        Raises:
            Refusal: why it does not go on.
            ClientGone: if the client leaves.
        """
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[Event | None] = asyncio.Queue()

        def say(event: Event | None) -> None:
            loop.call_soon_threadsafe(said.put_nowait, event)

        source = RemoteSource(_once(lambda error: say(_warning(str(error)))))
        work = loop.run_in_executor(self._pool, self._caption, source, request, say)
        tasks: list[asyncio.Task[None]] = []
        try:
            if (ready := await said.get()) is not None:  # else it failed
                await self._send(socket, ready)
                tasks.append(asyncio.ensure_future(self._listen(socket, source, say)))
                tasks.append(asyncio.ensure_future(self._send_all(socket, said)))
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            source.break_off()
            await asyncio.wait((work,))
            work.exception()  # seen, whatever ended this
        work.result()

    def _caption(
        self, source: RemoteSource, request: Request, say: Callable[[Event | None], None]
    ) -> None:
        """In a thread: read a source to its end."""
        try:
            with self._recognizer.stream(request) as stream:
                say({"event": "ready", "model": self._recognizer.loaded.name})
                for _, update in captions(stream, source, source):
                    for event in live_events(update):
                        say(event)
            say({"event": "done"})
        except ConnectionGone:
            raise ClientGone from None
        except Exception as error:
            refusal = refusal_of(error, "", "")
            if refusal.status >= 500:
                _logger.exception("a live connection failed")
            raise refusal from error
        finally:
            say(None)
            release_memory()

    async def _listen(
        self, socket: WebSocket, source: RemoteSource, say: Callable[[Event], None]
    ) -> None:
        """Take what a client sends, until it leaves.

        Raises:
            Refusal: if it sends what makes no sense, or nothing for too long.
            ClientGone: if it leaves.
        """
        is_over = False
        while True:
            message = await self._message(socket, is_over)
            if is_over:
                continue  # it was on its way
            if isinstance(message, str):
                if read_values(message).get("event") != "finish":
                    raise Refusal(400, 'only {"event": "finish"} may come now', code="bad_message")
                is_over = True
            else:
                is_over = await self._put(message, source, say)
            if is_over:
                source.finish()

    async def _put(
        self, message: bytes, source: RemoteSource, say: Callable[[Event], None]
    ) -> bool:
        """Hand sound or a picture over, once there is room; whether that was the last one."""
        try:
            time_s = comes_at(message)
        except BadMessageError as error:
            raise Refusal(400, str(error), code="bad_message") from error
        latest_s = source.latest_s + self._limits.patience_s + _JUMP_S
        if time_s > latest_s:
            text = f"{time_s:.1f} s lies ahead: times begin at 0 and go on without gaps"
            raise Refusal(400, text, code="bad_message")
        if time_s > self._limits.duration_s:
            say(_warning(f"the limit of {self._limits.duration_s:g} s is reached: connect again"))
            return True
        if source.has_room:
            source.put(message)
        else:  # the client has to wait, too
            await asyncio.to_thread(source.put, message)
        return False

    async def _message(self, socket: WebSocket, is_over: bool = False) -> bytes | str:
        """The next message; after the last one a client may be silent.

        Raises:
            Refusal: if it does not come in time.
            ClientGone: if the client leaves.
        """
        patience_s = None if is_over else self._limits.patience_s
        try:
            message = await asyncio.wait_for(socket.receive(), patience_s)
        except asyncio.TimeoutError:
            text = f"nothing has come for {patience_s:g} s; connect again"
            raise Refusal(408, text, code="timeout") from None
        if message["type"] == "websocket.disconnect":
            raise ClientGone
        text = message.get("text")
        return message.get("bytes") or b"" if text is None else text

    async def _send_all(self, socket: WebSocket, said: "asyncio.Queue[Event | None]") -> None:
        while (event := await said.get()) is not None:
            await self._send(socket, event)

    async def _send(self, socket: WebSocket, event: Event) -> None:
        """Send an event.

        Raises:
            ClientGone: if the client does not take it.
        """
        text = json.dumps(event)
        try:
            await asyncio.wait_for(socket.send_text(text), self._limits.patience_s)
        except asyncio.TimeoutError:
            raise ClientGone from None


def _warning(text: str) -> Event:
    return {"event": "warning", "message": text}


def _once(tell: Callable[[BadMessageError], None]) -> Callable[[BadMessageError], None]:
    told: list[BadMessageError] = []

    def tell_first(error: BadMessageError) -> None:
        if not told:
            tell(error)
        told.append(error)

    return tell_first

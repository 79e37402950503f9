"""Connections of clients that are too slow are cut off.

uvicorn waits for ever for a request's headers, and for a client to take its answer. (A body that
comes too slowly is noticed where it is read, see :mod:`avsr.serving.uploads`.)
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["patient_protocol"]


def patient_protocol(patience_s: float) -> type[asyncio.Protocol]:
    """Make a class of connections.

    Args:
        patience_s: time for the headers of a request, and longest pause in taking an answer.
    """

    class PatientProtocol(H11Protocol):
        _asking: asyncio.TimerHandle | None = None  # runs while headers are incomplete
        _taking: asyncio.TimerHandle | None = None  # runs while an answer waits to be taken
        _is_handed_over = False  # to a WebSocket, which has a patience of its own

        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore
            super().connection_made(transport)
            self._asking = self.loop.call_later(patience_s, transport.abort)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_handed_over:
                return
            if self.cycle is not None and not self.cycle.response_complete:
                self._asking = _ended(self._asking)
            elif self._asking is None:
                self._asking = self.loop.call_later(patience_s, self.transport.abort)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._asking, self._is_handed_over = _ended(self._asking), True
            super().handle_websocket_upgrade(event)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._taking = self.loop.call_later(patience_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._taking = _ended(self._taking)

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()  # closes, once all is taken
            self._taking = _ended(self._taking)
            self._taking = self.loop.call_later(patience_s, self.transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            self._asking, self._taking = _ended(self._asking), _ended(self._taking)
            super().connection_lost(exc)

    return PatientProtocol


def _ended(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()

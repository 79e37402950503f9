"""The routes: OpenAI's for transcriptions and models, and those that watch over a server."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from avsr.recognition.request import Request
from avsr.serving.answers import Deltas, answer, error_event
from avsr.serving.keys import check_key, given_key
from avsr.serving.live_room import LiveRoom
from avsr.serving.live_start import Start
from avsr.serving.metrics import Metrics
from avsr.serving.questions import (
    Question,
    check_model,
    model_names,
    read_question,
    read_request,
)
from avsr.serving.refusals import ClientGone, Refusal
from avsr.serving.settings import ServerSettings
from avsr.serving.uploads import Body, Form, UploadFolder, receive_form, too_large
from avsr.serving.work import Transcriber
from avsr.transcription import Segment, TranscriptionResult

__all__ = ["Service", "build_app"]

Value = TypeVar("Value")
_CLIENT_GONE = 499  # what web servers note for it; nobody reads it


@dataclass(frozen=True, kw_only=True)
class Service:
    """What the routes share.

    Attributes:
        transcriber: does the work.
        uploads: keeps the files of running requests.
        live: has room for live connections.
        metrics: counts.
        started: when, in seconds since 1970.
    """

    transcriber: Transcriber
    uploads: UploadFolder
    live: LiveRoom
    metrics: Metrics
    started: int

    @property
    def settings(self) -> ServerSettings:
        """What is allowed."""
        return self.transcriber.settings


def build_app(service: Service) -> FastAPI:
    """Make the application; pages that load scripts from elsewhere are left out."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    settings, line = service.settings, service.transcriber.line
    names = model_names(service.transcriber.recognizer, settings.aliases)

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(http: HttpRequest) -> Response:
        body = Body(http, settings)
        try:
            response = await _transcribe(service, http, body)
        except Refusal as refusal:
            await body.discard()
            response = refusal.response()
            if not body.is_over:
                response.headers["connection"] = "close"
        except ClientGone:
            response = Response(status_code=_CLIENT_GONE)
        service.metrics.requests.labels(response.status_code).inc()
        return response

    @app.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        def admit(start: Start) -> Request:
            check_key(start.key or given_key(socket), settings)
            check_model(start.model, names)
            return read_request(start.fields, service.transcriber.recognizer)

        status = await service.live.serve(socket, admit)
        service.metrics.live.labels(status).inc()

    @app.get("/v1/models")
    async def models(http: HttpRequest) -> Response:
        check_key(given_key(http), settings)
        about = [_about_model(name, service.started) for name in names]
        return JSONResponse({"object": "list", "data": about})

    @app.get("/v1/models/{name:path}")
    async def model(http: HttpRequest, name: str) -> Response:
        check_key(given_key(http), settings)
        if name not in names:
            message = f"the model {name!r} does not exist; there is {', '.join(names)}"
            raise Refusal(404, message, param="model", code="model_not_found")
        return JSONResponse(_about_model(name, service.started))

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/ready")
    async def ready() -> Response:
        if line.is_full:
            return JSONResponse({"status": "busy"}, 503, {"retry-after": str(line.retry_after_s)})
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.exception_handler(Refusal)
    async def refused(_: HttpRequest, refusal: Refusal) -> Response:
        return refusal.response()

    @app.exception_handler(HTTPException)
    async def unknown(http: HttpRequest, error: HTTPException) -> Response:
        message = f"{http.method} {http.url.path}: {error.detail}"
        return Refusal(error.status_code, message, code="unknown_url").response()

    @app.exception_handler(Exception)
    async def failed(_: HttpRequest, error: Exception) -> Response:
        message = "the server failed; its log says how"
        return Refusal(500, message, code="internal_error").response()

    return app


async def _transcribe(service: Service, http: HttpRequest, body: Body) -> Response:
    """Answer one request.

    Raises:
        Refusal: why it is not answered.
        ClientGone: if nobody waits for the answer.
    """
    settings, transcriber = service.settings, service.transcriber
    check_key(given_key(http), settings)
    length = http.headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.max_bytes:
        raise too_large(settings)
    async with AsyncExitStack() as held:
        held.enter_context(transcriber.line.place())
        path = service.uploads.new_path()
        held.callback(path.unlink, missing_ok=True)
        form = await receive_form(body, path)
        question = read_question(form, transcriber.recognizer, settings.aliases)
        gone = threading.Event()
        held.callback(gone.set)
        held.callback(_note_seconds, service.metrics, time.monotonic())
        if question.stream:
            return await _streamed(service, body, form, question, gone, held)
        work = transcriber.begin(form, question.request, gone)
        result = await _while_connected(body, work)
        service.metrics.speech.inc(result.duration_s)
        return answer(result, question)


async def _streamed(
    service: Service,
    body: Body,
    form: Form,
    question: Question,
    gone: threading.Event,
    held: AsyncExitStack,
) -> Response:
    """Begin to answer as soon as there is something to say; before, errors have their status."""
    said: asyncio.Queue[tuple[Segment, ...] | None] = asyncio.Queue()
    work = service.transcriber.begin(form, question.request, gone, said.put_nowait)
    work.add_done_callback(lambda _: said.put_nowait(None))
    first = await _while_connected(body, asyncio.ensure_future(said.get()))
    if first is None:
        await work  # raises what went wrong

    async def events() -> AsyncIterator[str]:
        deltas, segments = Deltas(), first
        while segments is not None:
            yield deltas.of(segments)
            segments = await said.get()
        try:
            result: TranscriptionResult = await work
        except Refusal as refusal:
            yield error_event(refusal)
            return
        service.metrics.speech.inc(result.duration_s)
        yield deltas.done(result, question)

    return _EventStream(events(), held.pop_all())


class _EventStream(StreamingResponse):
    """Events, and what is held until the last of them is sent or the client has gone."""

    def __init__(self, events: AsyncIterator[str], held: AsyncExitStack) -> None:
        super().__init__(events, media_type="text/event-stream")
        self.headers["cache-control"] = "no-store"
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def _while_connected(body: Body, work: "asyncio.Future[Value]") -> Value:
    """Wait for a result as long as the client does.

    Raises:
        ClientGone: if it leaves.
    """
    watch = asyncio.ensure_future(body.until_gone())
    try:
        await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientGone
        return work.result()
    finally:
        watch.cancel()
        work.cancel()


def _note_seconds(metrics: Metrics, started: float) -> None:
    metrics.seconds.observe(time.monotonic() - started)


def _about_model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "avsr"}

"""Live captions over a WebSocket: as the Python call gives them, whatever clients do."""

import json
import runpy
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from avsr.live.pace import Pace
from avsr.live.remote import RemoteSource
from avsr.live.sources import Picture, Sound, captions
from avsr.live.wire import BadMessageError, pack_picture, pack_sound
from avsr.recognizer import Recognizer, load
from avsr.serving.server import Server
from avsr_frontends.media import iter_video, read_audio
from tests.serving import SAMPLES, ask, running_server, wait_until

CLEAN = SAMPLES / "clean.mp4"
SENTENCE = "set blue with t one please"
CLIENT = Path(__file__).parents[2] / "recipes" / "live" / "client.py"

Event = dict[str, Any]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("grid-tiny", "cpu")


@pytest.fixture(scope="module")
def server(recognizer: Recognizer) -> Iterator[Server]:
    with running_server(recognizer, workers=1, live=2, live_seconds=20) as running:
        yield running
        wait_until(lambda: running.service.live.n_inside == 0)


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    """The clean sample, a message for each picture and each 0.1 s of sound."""
    pictures = [Picture(rgb=rgb, time_s=n / 25) for n, rgb in enumerate(iter_video(CLEAN))]
    sounds = _sounds(read_audio(CLEAN))
    packed = [(one.time_s, pack_picture(one)) for one in pictures]
    packed += [(one.time_s + 0.1, pack_sound(one)) for one in sounds]
    return [message for _, message in sorted(packed, key=lambda one: one[0])]


def _unexpected(error: BadMessageError) -> None:
    raise AssertionError(error)


def _sounds(wave: np.ndarray) -> list[Sound]:
    return [
        Sound(samples=wave[first : first + 1600], rate=16_000, time_s=first / 16_000)
        for first in range(0, len(wave), 1600)
    ]


def _address(server: Server) -> str:
    return server.address.replace("http", "ws") + "/v1/live"


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Connections, which are closed at the end of a test."""
    with ExitStack() as stack:
        yield stack


def _open(held: ExitStack, server: Server, **start: Any) -> ClientConnection:
    connection = held.enter_context(connect(_address(server), compression=None))
    connection.send(json.dumps({"event": "start", "model": "grid-tiny", **start}))
    return connection


def _ready(held: ExitStack, server: Server, **start: Any) -> ClientConnection:
    connection = _open(held, server, **start)
    assert json.loads(connection.recv(60)) == {"event": "ready", "model": "grid-tiny"}
    return connection


def _rest(connection: ClientConnection) -> tuple[list[Event], int]:
    """All that still comes, and the code that the connection is closed with."""
    events: list[Event] = []
    with suppress(ConnectionClosed):
        while True:
            events.append(json.loads(connection.recv(60)))
    assert connection.close_code is not None
    return events, connection.close_code


def _text(events: list[Event]) -> str:
    return " ".join(word["word"] for event in events for word in event.get("committed", ()))


def _said(connection: ClientConnection, messages: list[bytes]) -> list[Event]:
    for message in messages:
        connection.send(message)
    connection.send('{"event": "finish"}')
    events, code = _rest(connection)
    assert (events[-1], code) == ({"event": "done"}, 1000)
    return events


@pytest.mark.parametrize("modality", ["auto", "audio", "video"])
def test_words_are_those_of_a_stream_that_is_fed_the_same(
    held: ExitStack,
    server: Server,
    recognizer: Recognizer,
    messages: list[bytes],
    modality: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pace, "adjust", lambda *_: False)  # all comes at once, and is read finely
    source = RemoteSource(_unexpected)
    for message in messages:
        source.put(message)
    source.finish()
    with recognizer.stream(modality=modality) as stream:
        updates = [update for _, update in captions(stream, source, source)]
    expected = [word for update in updates for word in update.committed]
    assert [word.word for word in expected] == SENTENCE.split()

    events = _said(_ready(held, server, modality=modality), messages)
    words = [word for event in events for word in event.get("committed", ())]
    assert [word["word"] for word in words] == [word.word for word in expected]
    assert [word["start"] for word in words] == pytest.approx(
        [word.start for word in expected], abs=0.25
    )


def test_the_client_in_python_shows_words_while_the_file_plays(server: Server) -> None:
    client = runpy.run_path(str(CLIENT))
    events: list[Event] = list(client["captions"](CLEAN, _address(server), model="grid-tiny"))
    assert (events[0]["event"], events[-1]["event"]) == ("ready", "done")
    words = [event for event in events if event["event"] == "words"]
    assert any(event["guess"] for event in words)
    assert words[0]["time"] < 2.5  # of three seconds
    starts = [word["start"] for event in words for word in event["committed"]]
    assert starts == sorted(starts)
    assert _text(words) == SENTENCE


def test_several_clients_and_a_file_are_not_mixed_up(
    held: ExitStack,
    server: Server,
    recognizer: Recognizer,
    messages: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pace, "adjust", lambda *_: False)  # a slow machine would read coarsely
    sound = read_audio(SAMPLES / "babble_0db.mp4")[:16_000]
    other = [pack_sound(one) for one in _sounds(sound)]
    expected = recognizer.transcribe(sound).text
    first, second = _ready(held, server, modality="audio"), _ready(held, server, modality="audio")
    for message in messages:
        first.send(message)
    for message in other:
        second.send(message)
    answer = ask(server, CLEAN)
    assert _text(_said(first, [])) == answer.json()["text"] == SENTENCE
    assert _text(_said(second, [])) == expected != SENTENCE


def test_a_damaged_picture_is_told_once_and_the_others_count(
    held: ExitStack, server: Server, messages: list[bytes]
) -> None:
    damaged = [one[:-200] if one[0] == 2 and n % 10 == 0 else one for n, one in enumerate(messages)]
    events = _said(_ready(held, server), damaged)
    assert [event["message"] for event in events if event["event"] == "warning"] == [
        "a picture must be a JPEG; this one cannot be decoded"
    ]
    assert _text(events) == SENTENCE


@pytest.mark.parametrize(
    ("stage", "reset"),
    [("at once", True), ("start", True), ("sound", True), ("sound", False), ("finish", False)],
)
def test_connections_that_break_free_everything(
    held: ExitStack, server: Server, messages: list[bytes], stage: str, reset: bool
) -> None:
    if stage == "at once":
        connection = held.enter_context(connect(_address(server)))
    elif stage == "start":
        connection = _open(held, server)
    else:
        connection = _ready(held, server)
    if stage in ("sound", "finish"):
        for message in messages[:50]:
            connection.send(message)
    if stage == "finish":
        connection.send('{"event": "finish"}')
    if reset:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.socket.close()
    else:
        connection.close()
    wait_until(lambda: server.service.live.n_inside == 0)
    assert _text(_said(_ready(held, server, modality="audio"), messages)) == SENTENCE


@pytest.mark.parametrize(
    ("first", "status", "says"),
    [
        ("hello", 400, "JSON object"),
        ("[" * 100_000, 400, "JSON object"),
        ('{"event": "finish"}', 400, "first message must be"),
        (b"\1\0\0\0", 400, "first message must be"),
        ('{"event": "start"}', 400, "must provide a model"),
        ('{"event": "start", "model": "gpt-5"}', 404, "does not exist"),
        ('{"event": "start", "model": "grid-tiny", "colour": 1}', 400, "no field 'colour'"),
        ('{"event": "start", "model": "grid-tiny", "modality": []}', 400, "plain value"),
        ('{"event": "start", "model": "grid-tiny", "modality": "\\ud800"}', 400, "modality"),
        ('{"event": "start", "model": "grid-tiny", "num_beams": 99}', 400, "at most 16 beams"),
        ('{"event": "start", "model": "grid-tiny", "start": 1}', 400, "live stream has none"),
    ],
)
def test_a_beginning_that_makes_no_sense_is_told(
    server: Server, first: str | bytes, status: int, says: str
) -> None:
    with connect(_address(server)) as connection:
        connection.send(first)
        events, code = _rest(connection)
    assert code == 4000 + status
    assert [event["event"] for event in events] == ["error"]
    assert says in events[0]["error"]["message"]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("hello", "JSON object"),
        ('{"event": "start"}', "only"),
        (b"", "bytes, got 0"),
        (b"\3" + bytes(20), "got 3"),
        (struct.pack("<B3xId", 2, 0, 1e9) + b"jpeg", "lies ahead"),
    ],
)
def test_a_message_that_makes_no_sense_is_told(
    held: ExitStack, server: Server, message: str | bytes, says: str
) -> None:
    connection = _ready(held, server, modality="audio")
    connection.send(message)
    events, code = _rest(connection)
    assert code == 4400
    assert says in events[-1]["error"]["message"]


def test_a_message_that_is_too_large_is_not_taken(held: ExitStack, server: Server) -> None:
    connection = _ready(held, server, modality="audio")
    with suppress(ConnectionClosed):
        connection.send(bytes(5_000_000))
    assert _rest(connection)[1] in (1009, 1006)  # or it is cut off while it still sends
    wait_until(lambda: server.service.live.n_inside == 0)


def test_who_says_nothing_is_sent_away(held: ExitStack, recognizer: Recognizer) -> None:
    with running_server(recognizer, workers=1, patience_s=0.5) as hasty:
        with connect(_address(hasty)) as silent:
            assert _rest(silent)[1] == 4408
        events, code = _rest(_ready(held, hasty))
        assert code == 4408
        assert events[-1]["error"]["code"] == "timeout"


def test_a_full_room_refuses(held: ExitStack, server: Server, messages: list[bytes]) -> None:
    inside = [_ready(held, server, modality="audio") for _ in range(2)]
    events, code = _rest(_open(held, server))
    assert code == 4429
    assert events[-1]["error"]["code"] == "queue_full"
    assert httpx.get(f"{server.address}/ready").status_code == 200
    assert "avsr_live_now 2.0" in httpx.get(f"{server.address}/metrics").text
    assert [_text(_said(one, messages)) for one in inside] == [SENTENCE] * 2


def test_the_longest_connection_ends_with_all_that_was_said(
    held: ExitStack, server: Server, messages: list[bytes]
) -> None:
    connection = _ready(held, server, modality="audio")
    for message in messages:
        connection.send(message)
    for time_s in np.arange(3.0, 20.5, 0.5):
        connection.send(pack_sound(Sound(samples=np.zeros(8000), rate=16_000, time_s=time_s)))
    events, code = _rest(connection)
    assert (code, events[-1]["event"]) == (1000, "done")
    assert _text(events) == SENTENCE
    assert ["limit of 20 s" in one["message"] for one in events if one["event"] == "warning"] == [
        True
    ]


def test_keys(held: ExitStack, recognizer: Recognizer) -> None:
    with running_server(recognizer, workers=1, live=1, keys=("first", "second")) as closed:
        for key in ("first", "second"):
            _ready(held, closed, key=key, modality="audio").close()
            wait_until(lambda: closed.service.live.n_inside == 0)
        head = {"Authorization": "Bearer first"}
        with connect(_address(closed), additional_headers=head) as connection:
            connection.send('{"event": "start", "model": "grid-tiny", "modality": "audio"}')
            assert json.loads(connection.recv(60))["event"] == "ready"
        for wrong in ("third", "", "\ud800"):
            events, code = _rest(_open(held, closed, key=wrong))
            assert code == 4401
            assert events[0]["error"]["type"] == "authentication_error"
        wait_until(lambda: closed.service.live.n_inside == 0)
        assert 'avsr_live_total{status="401"} 3.0' in closed.service.metrics.text().decode()


def test_stopping_sends_everybody_away(
    held: ExitStack, recognizer: Recognizer, messages: list[bytes]
) -> None:
    with running_server(recognizer, workers=1) as ending:
        connection = _ready(held, ending)
        for message in messages:
            connection.send(message)
        ending.stop()
        assert _rest(connection)[1] == 1012
        wait_until(lambda: not ending.is_running)


def test_a_fault_of_our_own_is_told_without_details(
    held: ExitStack, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    with monkeypatch.context() as patched:
        patched.setattr(Recognizer, "stream", broken)
        events, code = _rest(_open(held, server))
    assert code == 4500
    assert "secret" not in json.dumps(events)

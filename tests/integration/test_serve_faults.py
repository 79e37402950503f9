"""Whatever clients do, the server answers the next request, and keeps none of their files."""

import errno
import os
import resource
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from avsr.recognizer import Recognizer, load
from avsr.serving.server import Server
from avsr.serving.uploads import _FormReader
from tests.clips import write_clip
from tests.hostile import BAD, GOOD
from tests.hostile.makers import Maker
from tests.serving import (
    ROUTE,
    SAMPLES,
    ask,
    connect,
    raw_request,
    running_server,
    stored,
    wait_until,
)
from tests.shared_inputs import shared_input

CLEAN = SAMPLES / "clean.mp4"
PATIENCE_S = 1.0
SLOW = ("8k.mp4",)  # writing it takes seconds


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("grid-tiny", "cpu")


@pytest.fixture(scope="module")
def server(recognizer: Recognizer) -> Iterator[Server]:
    with running_server(
        recognizer, workers=4, queue=64, patience_s=PATIENCE_S, max_megabytes=3, max_seconds=20
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def _answers_the_next_request(server: Server) -> Iterator[None]:
    yield
    answer = ask(server, CLEAN, modality="audio")
    assert answer.json()["text"] == "set blue with t one please"
    wait_until(lambda: stored(server) == [] and server.service.transcriber.line.n_inside == 0)


def _made(folder: Path, makers: dict[str, Maker], names: list[str]) -> list[Path]:
    """Those of the files that can be sent at all."""
    paths: list[Path] = []
    for number, name in enumerate(names):
        place = folder / str(number)
        place.mkdir(parents=True)
        path = makers[name](place)
        if path.is_file() and not path.is_symlink():
            paths.append(path)
    return paths


def _codes(server: Server, paths: list[Path]) -> set[int]:
    """Status of each file's answer; errors tell what a client may know."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda path: ask(server, path), paths))
    for answer in answers:
        if answer.status_code != 200:
            error = answer.json()["error"]
            assert error["type"] == "invalid_request_error", error
            assert str(server.service.uploads.root) not in error["message"]
    return {answer.status_code for answer in answers}


def test_hostile_uploads(server: Server, tmp_path: Path) -> None:
    bad = _made(tmp_path / "bad", BAD, list(BAD))
    good = _made(tmp_path / "good", GOOD, [name for name in GOOD if name not in SLOW][::3])
    assert len(bad) + len(good) >= 60
    assert _codes(server, bad) == {400}
    assert _codes(server, good) == {200}


@pytest.mark.shared
def test_hostile_uploads_of_others(server: Server) -> None:
    folder = shared_input("two_talk.mp4").parent
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert _codes(server, paths) <= {200, 400, 413}


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("stage", ["at once", "head", "body", "work", "answer"])
def test_connections_that_break(server: Server, stage: str, stream: str, reset: bool) -> None:
    head, body = raw_request(CLEAN, stream=stream)
    sent = {
        "at once": b"",
        "head": head[: len(head) // 2],
        "body": head + body[: len(body) // 2],
        "work": head + body,
        "answer": head + body,
    }
    connection = connect(server)
    connection.sendall(sent[stage])
    if stage == "work":
        wait_until(lambda: server.service.transcriber.line.n_working > 0)
    if stage == "answer":
        assert connection.recv(5) == b"HTTP/"
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_who_leaves_the_queue_is_not_worked_for(server: Server) -> None:
    recognizer = server.service.transcriber.recognizer
    n_before = recognizer.joint.n_pieces
    head, body = raw_request(CLEAN)
    waiting = [connect(server) for _ in range(16)]
    for connection in waiting:
        connection.sendall(head + body)
    wait_until(lambda: server.service.transcriber.line.n_inside == 16)
    for connection in waiting:
        connection.close()
    wait_until(lambda: server.service.transcriber.line.n_inside == 0)
    wait_until(lambda: server.service.transcriber.line.n_working == 0)
    assert recognizer.joint.n_pieces - n_before < 16


@pytest.mark.parametrize("begin", [b"", b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\n"])
def test_who_does_not_ask_is_cut_off(server: Server, begin: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(begin)
        _is_cut_off(connection)


def test_who_does_not_ask_again_is_cut_off(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in connection.recv(4096)
        connection.sendall(b"GET /health HT")
        _is_cut_off(connection)


def test_who_sends_too_slowly_is_told_so(server: Server) -> None:
    head, body = raw_request(CLEAN)
    with connect(server) as connection:
        connection.sendall(head + body[:1000])
        answer = _is_cut_off(connection)
    assert b" 408 " in answer.splitlines()[0]
    assert b"too slowly" in answer


def test_who_takes_no_answer_is_cut_off(recognizer: Recognizer) -> None:
    with running_server(recognizer, workers=1, patience_s=PATIENCE_S) as server:
        # Connections inherit the listener's buffer: a few answers fill it, however slow we are.
        server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with connect(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10 * PATIENCE_S)
            end = time.monotonic() + 10 * PATIENCE_S
            with suppress(ConnectionError):
                while time.monotonic() < end:
                    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
            assert time.monotonic() < end


def _is_cut_off(connection: socket.socket) -> bytes:
    """What still comes before the server closes, which is soon."""
    connection.settimeout(10 * PATIENCE_S)
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(4096):
            received += piece
    return received


def test_what_is_no_http_is_refused(server: Server) -> None:
    for rubbish in (os.urandom(2000), b"\0" * 2000, b"POST\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with connect(server) as connection:
            connection.sendall(rubbish)
            assert b" 200 " not in _is_cut_off(connection)


def test_what_is_too_large_is_refused(server: Server, tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(CLEAN.read_bytes() + bytes(4_000_000))
    refused = ask(server, large)
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "file_too_large"

    head, body = raw_request(large)
    _, _, content_type = head.partition(b"content-type: ")
    kind = content_type.split(b"\r\n")[0].decode()
    blocks = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    chunked = httpx.post(server.address + ROUTE, content=blocks, headers={"content-type": kind})
    assert chunked.status_code == 413


def test_what_is_too_long_is_refused_before_it_is_decoded(server: Server, tmp_path: Path) -> None:
    long = write_clip(tmp_path / "long.flac", sound=np.zeros(16_000 * 30), sound_codec="flac")
    n_before = server.service.transcriber.recognizer.joint.n_pieces
    refused = ask(server, long).json()["error"]
    assert refused["code"] == "file_too_long"
    assert "(30 s); the limit is 20 s" in refused["message"]
    assert server.service.transcriber.recognizer.joint.n_pieces == n_before
    assert ask(server, long, start="25").status_code == 200
    untold = write_clip(tmp_path / "long.aac", sound=np.zeros(16_000 * 30), sound_codec="aac")
    assert ask(server, untold).json()["error"]["code"] == "file_too_long"


def test_nothing_is_fetched(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.5)
        address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/talk.wav"
        form = {"model": "grid-tiny", "file": address}
        refused = httpx.post(server.address + ROUTE, data=form, files={"x": ("", b"")})
        assert refused.status_code == 400
        playlist = f"#EXTM3U\n#EXTINF:3,\n{address}\n".encode()
        for content in (playlist, f"ffconcat version 1.0\nfile '{address}'\n".encode()):
            answer = httpx.post(
                server.address + ROUTE,
                data={"model": "grid-tiny"},
                files={"file": ("talk.m3u8", content)},
            )
            assert answer.status_code == 400
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_a_full_disk_refuses(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_FormReader, "write_to", full)
        refused = ask(server, CLEAN)
    assert refused.status_code == 507
    assert refused.json()["error"]["message"] == "the server's disk is full; try again later"


def test_a_disk_that_fills_up_refuses(server: Server, tmp_path: Path) -> None:
    """As the kernel tells it, here by the limit of a file's size."""
    large = tmp_path / "large.wav"
    large.write_bytes(CLEAN.read_bytes() + bytes(2_000_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        refused = ask(server, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.status_code == 507
    assert refused.headers["retry-after"] == "30"
    assert ask(server, large, modality="audio").status_code == 200


def test_a_folder_that_was_cleaned_away_is_made_again(server: Server) -> None:
    before = server.service.uploads.root
    before.rmdir()
    assert ask(server, CLEAN, modality="audio").status_code == 200
    assert server.service.uploads.root != before
    assert server.service.uploads.root.stat().st_mode & 0o777 == 0o700


def test_a_fault_of_our_own_is_told_without_details(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    with monkeypatch.context() as patched:
        patched.setattr(Recognizer, "transcribe", broken)
        failed = ask(server, CLEAN)
    assert failed.status_code == 500
    assert failed.json()["error"]["type"] == "server_error"
    assert "secret" not in failed.text

"""Downloads from a local server that breaks, changes and refuses."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from avsr.errors import InputError, ModelUnavailableError
from avsr.model_files.download import download

CONTENTS = bytes(range(256)) * 40_000  # 10 MB


class Server(ThreadingHTTPServer):
    """Serves one file; tests change how."""

    contents = CONTENTS
    etag = '"first"'
    ranges = True
    sizes = True
    breaks: list[int]  # bytes after which the next answers stop
    requests: list[str | None]  # Range header of each request
    status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.pt"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server: Any = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.status != 200:
            self.send_error(server.status)
            return
        begin = 0
        unchanged = self.headers.get("If-Range") == server.etag
        if server.ranges and asked and unchanged:
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(server.contents):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.contents)}")
                self.end_headers()
                return
            self.send_response(206)
        else:
            self.send_response(200)
        data = server.contents[begin:]
        self.send_header("ETag", server.etag)
        if server.sizes:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: server.breaks.pop(0)] if server.breaks else data)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.breaks, server.requests = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_whole_file(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "models" / "model.pt"
    seen: list[tuple[int, int]] = []
    verified = download(
        server.url, path, progress=lambda _, done, total: seen.append((done, total))
    )
    assert path.read_bytes() == CONTENTS
    assert list(path.parent.iterdir()) == [path]
    assert verified == (
        "10240000 bytes, as the server announced; no checksum is published, so none was verified"
    )
    assert seen[-1] == (9, 9)


def test_broken_connection_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks = [3_000_000, 2_000_000]
    download(server.url, tmp_path / "model.pt", pause_s=0)
    assert (tmp_path / "model.pt").read_bytes() == CONTENTS
    assert server.requests == [None, "bytes=3000000-", "bytes=5000000-"]


def test_a_later_run_goes_on_where_the_first_gave_up(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    server.breaks = [1_000_000] * 5
    with pytest.raises(ModelUnavailableError, match="repeat the command to go on"):
        download(server.url, path, pause_s=0)
    assert not path.exists()
    assert (tmp_path / "model.pt.part").stat().st_size == 5_000_000
    download(server.url, path, pause_s=0)
    assert path.read_bytes() == CONTENTS
    assert server.requests[-1] == "bytes=5000000-"


def test_a_changed_file_is_fetched_from_the_start(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    server.breaks = [1_000_000] * 5
    with pytest.raises(ModelUnavailableError):
        download(server.url, path, pause_s=0)
    server.contents, server.etag = CONTENTS[::-1], '"second"'
    download(server.url, path, pause_s=0)
    assert path.read_bytes() == CONTENTS[::-1]


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks = [1_000_000]
    download(server.url, tmp_path / "model.pt", pause_s=0)
    assert (tmp_path / "model.pt").read_bytes() == CONTENTS


def test_nothing_is_missing_any_more(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "model.pt.part"
    part.write_bytes(CONTENTS)
    (tmp_path / "model.pt.part.json").write_text('{"version": "\\"first\\""}')
    download(server.url, tmp_path / "model.pt", pause_s=0)
    assert (tmp_path / "model.pt").read_bytes() == CONTENTS
    assert len(server.requests) == 1


def test_a_part_of_unknown_origin_is_not_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pt.part").write_bytes(b"something else")
    download(server.url, tmp_path / "model.pt", pause_s=0)
    assert (tmp_path / "model.pt").read_bytes() == CONTENTS
    assert server.requests == [None]


def test_checksum_and_size(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    digest = hashlib.sha256(CONTENTS).hexdigest()
    verified = download(server.url, path, n_bytes=len(CONTENTS), sha256=digest)
    assert verified == "10240000 bytes and SHA-256 verified"
    with pytest.raises(InputError, match=r"SHA-256 is .*, expected abc"):
        download(server.url, tmp_path / "other.pt", sha256="abc")
    with pytest.raises(InputError, match="has 10240000 bytes, expected 7"):
        download(server.url, tmp_path / "other.pt", n_bytes=7)
    assert list(tmp_path.glob("other.pt*")) == [tmp_path / "other.pt.part.json"]
    server.sizes = False
    assert "nothing was verified" in download(server.url, path)


@pytest.mark.parametrize(("status", "n_requests"), [(404, 1), (403, 1), (503, 5)])
def test_refused(server: Server, tmp_path: Path, status: int, n_requests: int) -> None:
    server.status = status
    with pytest.raises(ModelUnavailableError, match=f"model.pt: {status}"):
        download(server.url, tmp_path / "model.pt", pause_s=0)
    assert len(server.requests) == n_requests
    assert not (tmp_path / "model.pt").exists()


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="the connection breaks"):
        download("http://127.0.0.1:9/model.pt", tmp_path / "model.pt", pause_s=0)

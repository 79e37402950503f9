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

CONTENTS = bytes(range(256)) * 100_000  # 25.6 MB
KEPT = 10 * 1024**2  # the library writes so much at once; what came after it is fetched again


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

    def do_HEAD(self) -> None:
        server: Any = self.server
        if server.status != 200:
            self.send_error(server.status)
            return
        self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.sizes:
            self.send_header("Content-Length", str(len(server.contents)))
        self.end_headers()

    def do_GET(self) -> None:
        server: Any = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.status != 200:
            self.send_error(server.status)
            return
        begin = 0
        if server.ranges and asked:
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            total = len(server.contents)
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        else:
            self.send_response(200)
        data = server.contents[begin:]
        self.send_header("ETag", server.etag)
        if server.sizes:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: server.breaks.pop(0)] if server.breaks else data)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits a second before it tries again."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)


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
    verified = download(server.url, path)
    assert path.read_bytes() == CONTENTS
    assert list(path.parent.iterdir()) == [path]
    assert verified == (
        "25600000 bytes, as the server announced; no checksum is published, so none was verified"
    )


def test_progress_is_told_in_place_of_the_librarys_bars(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown: list[tuple[str, int, int]] = []
    server.breaks = [11_000_000]
    download(server.url, tmp_path / "model.pt", progress=lambda *report: shown.append(report))
    assert {stage for stage, _, _ in shown} == {"fetching model.pt, MB"}
    done = [n for _, n, _ in shown]
    assert done == sorted(done)
    assert {total for _, _, total in shown} == {26}
    assert shown[-1] == ("fetching model.pt, MB", 26, 26)
    assert done.count(26) == 1  # so that the end is told once
    assert capfd.readouterr().err.count("\r") == 0


def test_broken_connection_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks = [11_000_000, 11_000_000]
    download(server.url, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == CONTENTS
    assert server.requests == [None, f"bytes={KEPT}-", f"bytes={2 * KEPT}-"]


def test_a_later_run_goes_on_where_the_first_gave_up(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    server.breaks = [11_000_000] + [0] * 6
    with pytest.raises(ModelUnavailableError, match="repeat the command to go on"):
        download(server.url, path)
    (part,) = tmp_path.iterdir()
    assert part.stat().st_size == KEPT
    assert part.name.endswith(".part")
    server.breaks.clear()
    download(server.url, path)
    assert path.read_bytes() == CONTENTS
    assert server.requests[-1] == f"bytes={KEPT}-"


def test_a_changed_file_is_fetched_from_the_start(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    server.breaks = [11_000_000] + [0] * 6
    with pytest.raises(ModelUnavailableError):
        download(server.url, path)
    server.breaks.clear()
    server.contents, server.etag = CONTENTS[::-1], '"second"'
    download(server.url, path)
    assert path.read_bytes() == CONTENTS[::-1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks = [11_000_000]
    download(server.url, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == CONTENTS


def test_a_part_of_unknown_origin_is_not_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pt.part").write_bytes(b"something else")
    server.etag = ""
    download(server.url, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == CONTENTS
    assert server.requests == [None]
    assert list(tmp_path.iterdir()) == [tmp_path / "model.pt"]


def test_checksum_and_size(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    digest = hashlib.sha256(CONTENTS).hexdigest()
    verified = download(server.url, path, n_bytes=len(CONTENTS), sha256=digest)
    assert verified == "25600000 bytes and SHA-256 verified"
    with pytest.raises(InputError, match=r"SHA-256 is .*, expected abc"):
        download(server.url, tmp_path / "other.pt", sha256="abc")
    with pytest.raises(InputError, match="has 25600000 bytes, expected 7"):
        download(server.url, tmp_path / "other.pt", n_bytes=7)
    assert not list(tmp_path.glob("other.pt*"))
    server.sizes = False
    assert "nothing was verified" in download(server.url, path)


@pytest.mark.parametrize("status", [404, 403])
def test_refused(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(ModelUnavailableError, match=f"model.pt: .*{status}"):
        download(server.url, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="the connection breaks"):
        download("http://127.0.0.1:9/model.pt", tmp_path / "model.pt")


def test_the_place_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        download(server.url, tmp_path / "file" / "model.pt")

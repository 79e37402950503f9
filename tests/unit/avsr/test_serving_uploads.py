"""Forms are received piece by piece; what is too large, too slow or broken leaves no file."""

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request as HttpRequest

from avsr.serving.refusals import ClientGone, Refusal
from avsr.serving.settings import ServerSettings
from avsr.serving.uploads import Body, Form, UploadFolder, receive_form

LIMITS = ServerSettings(max_megabytes=0.1)
HASTY = ServerSettings(max_megabytes=0.1, patience_s=0.1)
DISPOSITION = b'Content-Disposition: form-data; name="'


def _part(name: bytes, content: bytes, file_name: bytes | None = None) -> bytes:
    named = b"" if file_name is None else b'; filename="' + file_name + b'"'
    return b"--cut\r\n" + DISPOSITION + name + b'"' + named + b"\r\n\r\n" + content + b"\r\n"


FILE = _part(b"file", b"RIFF" * 100, b"talk\x07.wav")
WHOLE = _part(b"model", b"m") + FILE + _part(b"prompt", "é".encode()) + b"--cut--\r\n"


def _body(
    pieces: Sequence[bytes | None],
    content_type: str = "multipart/form-data; boundary=cut",
    settings: ServerSettings = LIMITS,
) -> Body:
    """A body in pieces; None is the end of a connection, and the last piece is followed by none."""
    left, sent = list(pieces), bytearray()

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(60)
        piece = left.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        sent.extend(piece)
        is_last = sent.endswith(b"--cut--\r\n")
        return {"type": "http.request", "body": piece, "more_body": not is_last}

    headers = [(b"content-type", content_type.encode())]
    return Body(HttpRequest({"type": "http", "headers": headers}, receive), settings)


def _received(body: Body, path: Path) -> Form:
    return asyncio.run(receive_form(body, path))


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_form_in_any_pieces(size: int, tmp_path: Path) -> None:
    pieces = [WHOLE[start : start + size] for start in range(0, len(WHOLE), size)]
    body = _body(pieces)
    form = _received(body, tmp_path / "upload")
    assert form.file.read_bytes() == b"RIFF" * 100
    assert form.file_name == "talk?.wav"
    assert form.fields == [("model", "m"), ("prompt", "é")]
    assert body.is_over


@pytest.mark.parametrize(
    ("pieces", "status", "message"),
    [
        ([_part(b"model", b"m") + b"--cut--\r\n"], 400, "there is no file"),
        ([FILE + FILE + b"--cut--\r\n"], 400, "one file is taken"),
        ([_part(b"mask", b"x", b"a.png") + b"--cut--\r\n"], 400, "in 'mask'"),
        ([_part(b"prompt", b"x" * 70_000) + b"--cut--\r\n"], 400, "longer than 64000 bytes"),
        ([_part(b"a", b"") * 65 + FILE + b"--cut--\r\n"], 400, "more than 64 fields"),
        ([b"\xff" * 300 + b"--cut--\r\n"], 400, "no multipart form"),
        ([FILE[:200], b"x" * 60_000, b"x" * 60_000], 413, "the limit is 0.1 MB"),
        ([FILE[:200]], 408, "too slowly"),
        ([], 408, "too slowly"),
    ],
)  # fmt: skip
def test_what_is_refused(
    pieces: list[bytes | None], status: int, message: str, tmp_path: Path
) -> None:
    body = _body(pieces, settings=HASTY if status == 408 else LIMITS)
    with pytest.raises(Refusal, match=message) as refused:
        _received(body, tmp_path / "upload")
    assert refused.value.status == status
    assert list(tmp_path.iterdir()) == []


def test_a_trickle_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.03)  # never long enough for a pause
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    pieces = [FILE[:200], *[b"x"] * 100]
    body = _body([], settings=HASTY)
    monkeypatch.setattr(body, "_receive", trickle)
    with pytest.raises(Refusal, match="too slowly"):
        _received(body, tmp_path / "upload")


def test_a_body_that_is_no_form(tmp_path: Path) -> None:
    for content_type in ("application/json", "multipart/form-data", ""):
        with pytest.raises(Refusal, match="multipart/form-data") as refused:
            _received(_body([b"{}"], content_type), tmp_path / "upload")
        assert refused.value.status == 400


def test_a_client_that_leaves(tmp_path: Path) -> None:
    with pytest.raises(ClientGone):
        _received(_body([FILE[:100], None]), tmp_path / "upload")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("avsr.serving.uploads._FormReader.write_to", full)
    with pytest.raises(Refusal, match="disk is full") as refused:
        _received(_body([WHOLE]), tmp_path / "upload")
    assert (refused.value.status, refused.value.retry_after_s) == (507, 30)
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_is_read_to_its_end() -> None:
    body = _body([WHOLE[:50], WHOLE[50:]])
    asyncio.run(body.discard())
    assert body.is_over


def test_the_folder_is_private_and_goes() -> None:
    folder = UploadFolder()
    first, second = folder.new_path(), folder.new_path()
    assert first != second
    assert first.suffix == "", "decoders would go by it"
    assert folder.root.stat().st_mode & 0o077 == 0
    first.write_bytes(b"x")
    folder.close()
    assert not folder.root.exists()

"""Downloads that go on where they stopped and are checked before they take their name."""

import hashlib
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from avsr.errors import InputError, ModelUnavailableError

_CHUNK_BYTES = 1024**2
_TIMEOUT_S = 60
_ATTEMPTS = 5
_PAUSE_S = 2.0  # before another attempt, longer each time

Progress = Callable[[str, int, int], None]


def download(
    url: str,
    path: Path,
    *,
    n_bytes: int | None = None,
    sha256: str = "",
    progress: Progress | None = None,
    pause_s: float = _PAUSE_S,
) -> str:
    """Fetch a file; what was fetched before and broke off is not fetched again.

    Until it is whole it is called ``NAME.part``, beside ``NAME.part.json``, which tells which
    version of the file it is a part of.

    Args:
        url: of the file.
        path: to write; its folder is made.
        n_bytes: size to expect, where it is known.
        sha256: checksum to expect, where it is known.
        progress: told of the megabytes done.
        pause_s: seconds before a second attempt.

    Returns:
        What was verified, for the user.

    Raises:
        ModelUnavailableError: the server does not give the file, or the connection keeps breaking.
        InputError: the file is not what was expected, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    total: int | None = None
    for attempt in range(_ATTEMPTS):
        try:
            total = _fetch_rest(url, part, progress)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == _ATTEMPTS - 1:
                raise ModelUnavailableError(f"{url}: {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno == 28:
                raise InputError(f"{part}: the disk is full; free space and repeat") from error
            if attempt == _ATTEMPTS - 1:
                raise ModelUnavailableError(
                    f"{url}: the connection breaks ({error}); repeat the command to go on"
                ) from error
        time.sleep(pause_s * (attempt + 1))
    verified = _verify(part, total, n_bytes, sha256)
    part.replace(path)
    _version_file(part).unlink(missing_ok=True)
    return verified


def _fetch_rest(url: str, part: Path, progress: Progress | None) -> int | None:
    """Append what is missing of a file; return its full size, if the server tells it."""
    version = _read_version(part)
    begin = part.stat().st_size if part.is_file() and version else 0
    request = urllib.request.Request(url)
    if begin:
        request.add_header("Range", f"bytes={begin}-")
        request.add_header("If-Range", version)  # another version is sent whole
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and begin:  # nothing is missing any more, or another file is there
            complete = error.headers.get("Content-Range", "").endswith(f"/{begin}")
            if complete:
                return begin
            part.unlink()
            return _fetch_rest(url, part, progress)
        raise
    with response:
        resumed = response.status == 206
        begin = begin if resumed else 0
        length = response.headers.get("Content-Length")
        total = begin + int(length) if length is not None else None
        if total is not None and shutil.disk_usage(part.parent).free < total - begin:
            raise OSError(28, "No space left on device")
        _write_version(part, response)
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file.write, begin, total, progress)
    if total is not None and part.stat().st_size < total:
        raise HTTPException(f"{total - part.stat().st_size} bytes missing")
    return total


def _copy(
    response: HTTPResponse,
    write: Callable[[bytes], object],
    begin: int,
    total: int | None,
    progress: Progress | None,
) -> None:
    done = begin
    while chunk := response.read(_CHUNK_BYTES):
        write(chunk)
        done += len(chunk)
        if progress is not None and total:
            progress("fetched MB", done >> 20, total >> 20)


def _version_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_version(part: Path) -> str:
    """What identifies the file on the server; empty if it cannot be told apart."""
    try:
        return json.loads(_version_file(part).read_text())["version"]
    except (OSError, ValueError, KeyError):
        return ""


def _write_version(part: Path, response: HTTPResponse) -> None:
    etag = response.headers.get("ETag", "")
    version = etag if etag and not etag.startswith("W/") else ""
    version = version or response.headers.get("Last-Modified", "")
    _version_file(part).write_text(json.dumps({"version": version}))


def _verify(part: Path, total: int | None, n_bytes: int | None, sha256: str) -> str:
    """Check the size and the checksum; a wrong file is removed."""
    size = part.stat().st_size
    expected = n_bytes if n_bytes is not None else total
    if expected is not None and size != expected:
        part.unlink()
        raise InputError(f"{part}: has {size} bytes, expected {expected}; repeat the download")
    if sha256:
        found = _sha256(part)
        if found != sha256:
            part.unlink()
            raise InputError(f"{part}: SHA-256 is {found}, expected {sha256}; repeat the download")
        return f"{size} bytes and SHA-256 verified"
    if expected is None:
        return f"{size} bytes; the server tells neither size nor checksum, so nothing was verified"
    return f"{size} bytes, as the server announced; no checksum is published, so none was verified"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()

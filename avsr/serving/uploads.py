"""Forms with a file, received piece by piece into a folder of our own.

Nothing is kept in memory but one piece and the texts of the other fields. A client that pauses too
long, or keeps to a trickle, is not waited for.
"""

import asyncio
import errno
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import Request as HttpRequest

from avsr.serving.refusals import ClientGone, Refusal
from avsr.serving.settings import ServerSettings

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["Body", "Form", "UploadFolder", "receive_form", "too_large"]

_SLOWEST = 16_000  # bytes a second on average, after the first moments
_MOST_FIELDS = 64
_LONGEST_FIELD = 64_000  # bytes
_LONGEST_NAME = 120  # characters of a file's name that are shown again


@dataclass(kw_only=True)
class Form:
    """What a client sent.

    Attributes:
        file: where its file is.
        file_name: what the client calls it, fit to be shown.
        fields: name and value of all others, in order.
    """

    file: Path
    file_name: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)


class UploadFolder:
    """The folder that holds the files of running requests, and nothing after them."""

    def __init__(self) -> None:
        """Make the folder, for this process's user alone."""
        self.root = _private_folder()
        self._n_made = 0

    def new_path(self) -> Path:
        """A path for a file; its name tells nothing, and no decoder goes by it.

        Where a cleaner of temporary files has taken the folder, a new one is made: not the same
        again, which somebody else might make first.

        Raises:
            Refusal: if none can be made.
        """
        if not self.root.is_dir():
            try:
                self.root = _private_folder()
            except OSError as error:
                raise _no_room(error) from error
        self._n_made += 1
        return self.root / f"upload-{self._n_made}"

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.root, ignore_errors=True)


def _private_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="avsr-serve-")).resolve()


class Body:
    """The body of a request, as it comes.

    Attributes:
        is_over: nothing comes after what has come.
    """

    def __init__(self, request: HttpRequest, settings: ServerSettings) -> None:
        """Name a request whose body has not been touched."""
        self.is_over = False
        self.headers = request.headers
        self._is_awaited = "expect" not in self.headers  # such a client waits for leave to send
        self._receive, self._settings = request.receive, settings

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body.

        Raises:
            Refusal: if it is too large, or comes too slowly.
            ClientGone: if it breaks off.
        """
        patience_s = self._settings.patience_s
        clock = asyncio.get_running_loop().time
        started, n_bytes = clock(), 0
        while not self.is_over:
            left_s = started + patience_s + n_bytes / _SLOWEST - clock()
            try:
                message = await asyncio.wait_for(self._receive(), max(0.0, min(left_s, patience_s)))
            except asyncio.TimeoutError:
                self._is_awaited = False
                cause = "the request comes too slowly; send it again over a better connection"
                raise Refusal(408, cause, code="timeout") from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            self.is_over = not message.get("more_body", False)
            n_bytes += len(piece)
            if n_bytes > self._settings.max_bytes:
                raise too_large(self._settings)
            yield piece

    async def discard(self) -> None:
        """Receive and forget what is still sent, so that the client reads why it is refused.

        One that has nothing on the way, or sends too much or too slowly, is not waited for.
        """
        if not self._is_awaited:
            return
        with suppress(Refusal, ClientGone):
            async with aclosing(self.pieces()) as pieces:
                async for _ in pieces:
                    pass

    async def until_gone(self) -> None:
        """Wait until the client closes the connection; only after the body is over."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def receive_form(body: Body, path: Path) -> Form:
    """Receive a form with one file, called ``file``.

    Args:
        body: of which nothing has been read.
        path: where the file goes; it is there only if this succeeds.

    Raises:
        Refusal: if the body is no such form, too large or too slow, or the disk is full.
        ClientGone: if it breaks off.
    """
    reader, form = _FormReader(path), None
    try:
        parser = MultipartParser(_boundary(body.headers), reader.callbacks())
        with path.open("xb") as file:
            async with aclosing(body.pieces()) as pieces:
                async for piece in pieces:
                    parser.write(piece)
                    await asyncio.to_thread(reader.write_to, file)
            parser.finalize()
        form = reader.form()
        return form
    except FormParserError as error:
        message = f"the body is no multipart form ({error}); send one with a field 'file'"
        raise Refusal(400, message, code="invalid_form") from None
    except OSError as error:
        raise _no_room(error) from error
    finally:
        if form is None:
            path.unlink(missing_ok=True)


def too_large(settings: ServerSettings) -> Refusal:
    """What a body above the limit is refused with."""
    message = f"the file is too large; the limit is {settings.max_megabytes:g} MB"
    return Refusal(413, message, param="file", code="file_too_large")


def _no_room(error: OSError) -> Refusal:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cause = "the server's disk is full" if is_full else f"cannot store files ({error.strerror})"
    message = f"{cause}; try again later"
    return Refusal(507, message, code="insufficient_storage", retry_after_s=30)


def _boundary(headers: Headers) -> bytes:
    kind, options = parse_options_header(headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        message = "send a form (multipart/form-data) with a field 'file'"
        raise Refusal(400, message, code="invalid_form")
    return boundary


class _FormReader:
    """Puts the parts of a form together as a parser finds them."""

    def __init__(self, path: Path) -> None:
        self._is_whole = False
        self._form = Form(file=path)
        self._has_file = False
        self._waiting: list[bytes] = []  # of the file
        self._begin()

    def callbacks(self) -> "MultipartCallbacks":
        """For the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def write_to(self, file: IO[bytes]) -> None:
        """Write down what has come of the file."""
        file.write(b"".join(self._waiting))
        self._waiting.clear()

    def form(self) -> Form:
        """The whole.

        Raises:
            Refusal: if it broke off, or brought no file.
        """
        if not self._is_whole:
            raise Refusal(400, "the form breaks off; send it again", code="invalid_form")
        if not self._has_file:
            message = "there is no file; send it in the field 'file'"
            raise Refusal(400, message, param="file", code="missing_field")
        return self._form

    def _begin(self) -> None:
        self._header, self._value, self._disposition = b"", b"", b""
        self._name, self._data, self._is_file = "", bytearray(), False

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if not self._is_file:
            return
        if self._name != "file" or self._has_file:
            message = f"one file is taken, in the field 'file'; got another in {self._name!r}"
            raise Refusal(400, message, param=self._name, code="unknown_field")
        self._has_file = True
        self._form.file_name = _shown(options[b"filename"])

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._waiting.append(data[start:end])
            return
        self._data += data[start:end]
        if len(self._data) > _LONGEST_FIELD:
            message = f"the field is longer than {_LONGEST_FIELD} bytes"
            raise Refusal(400, message, param=self._name, code="invalid_value")

    def _on_part_end(self) -> None:
        if self._is_file:
            return
        self._form.fields.append((self._name, self._data.decode("utf-8", "replace")))
        if len(self._form.fields) > _MOST_FIELDS:
            raise Refusal(400, f"more than {_MOST_FIELDS} fields", code="invalid_form")

    def _on_end(self) -> None:
        self._is_whole = True


def _shown(name: bytes) -> str:
    """A file's name as errors may repeat it."""
    text = name.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST_NAME] or "file"

"""Requests that get no transcription, with the errors that OpenAI's clients understand."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from avsr.errors import AvsrError, InputError, UsageError, one_line

__all__ = ["ClientGone", "Refusal", "refusal_of"]

_KINDS = {
    401: "authentication_error",
    429: "rate_limit_error",
}


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Refusal(Exception):
    """Why a request is not answered as it was meant.

    Attributes:
        status: of the HTTP response.
        message: one sentence, what is wrong and what to do.
        param: the field of the request that is at fault.
        code: a short name of the cause, for programs.
        retry_after_s: when it is worth asking again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.param, self.code, self.retry_after_s = param, code, retry_after_s

    def to_dict(self) -> dict[str, Any]:
        """The body of the response."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": self.message,
                "type": _KINDS.get(self.status, kind),
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        """The response; the connection may go on."""
        headers: Mapping[str, str] = (
            {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        )
        return JSONResponse(self.to_dict(), self.status, headers)


def refusal_of(error: Exception, path: str, name: str) -> Refusal:
    """What to tell a client about an error.

    Args:
        error: what ended the work.
        path: where the client's file was kept, which concerns nobody.
        name: what the client calls its file.
    """
    if isinstance(error, Refusal):
        return error
    message = one_line(error).replace(path, name)
    if isinstance(error, AvsrError) and error.settings:
        return Refusal(400, message, param=error.settings[0], code="invalid_value")
    if isinstance(error, UsageError):
        return Refusal(400, message, code="invalid_value")
    if isinstance(error, InputError):
        return Refusal(400, message, param="file", code="unreadable_file")
    return Refusal(500, "the server failed; its log says how", code="internal_error")

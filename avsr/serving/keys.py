"""Who may ask."""

import hmac

from starlette.requests import HTTPConnection

from avsr.serving.refusals import Refusal
from avsr.serving.settings import ServerSettings

__all__ = ["check_key", "given_key"]


def given_key(connection: HTTPConnection) -> str:
    """The key in the head of a request; empty without one."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def check_key(given: str, settings: ServerSettings) -> None:
    """Let in who has a key, where there are any.

    Raises:
        Refusal: of everybody else.
    """
    if not settings.keys:
        return
    mine = given.encode("utf-8", "surrogatepass")
    found = [hmac.compare_digest(mine, key.encode()) for key in settings.keys]  # all, every time
    if not any(found):
        message = "the API key is missing or wrong; send one as 'Authorization: Bearer KEY'"
        raise Refusal(401, message, code="invalid_api_key")

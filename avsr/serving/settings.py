"""What a server allows."""

from dataclasses import dataclass

__all__ = ["ServerSettings"]


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The limits of a server.

    Attributes:
        workers: requests worked on at once, each by a thread.
        queue: requests that may wait beside these; more are refused.
        max_megabytes: largest body of a request, in units of 10^6 bytes.
        max_seconds: longest recording, or part of one that is asked for.
        patience_s: longest pause of a client that sends or receives.
        live: live connections at once, each with a thread of its own; more are refused.
        live_seconds: longest of them.
        keys: any of these lets a client in; without any, everybody may ask.
        aliases: names for the model beside its own.
    """

    workers: int = 8
    queue: int = 32
    max_megabytes: float = 200.0
    max_seconds: float = 600.0
    patience_s: float = 30.0
    live: int = 2
    live_seconds: float = 14_400.0
    keys: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def max_bytes(self) -> int:
        """Largest body of a request."""
        return round(self.max_megabytes * 1e6)

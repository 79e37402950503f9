"""What a recording may be like, and plain messages for one that is not."""

from dataclasses import dataclass
from pathlib import Path

from avsr_frontends.media import MediaError, MediaInfo, probe

_LARGEST_SIDE = 4096  # pixels: twice 1080p either way; beyond, decoding alone takes minutes


class RecordingError(ValueError):
    """A recording that the demo does not take; the message is shown to the visitor as it is."""


class LineFullError(RecordingError):
    """Too many visitors wait already."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest recording that the demo takes.

    Attributes:
        duration_s: seconds.
        megabytes: size of the file in units of 10^6 bytes.
    """

    duration_s: float = 60.0
    megabytes: float = 200.0

    def check_file(self, path: Path) -> MediaInfo:
        """Look at a file's headers.

        Raises:
            RecordingError: if it cannot be read or exceeds a limit that the headers tell.
        """
        if not path.exists():
            raise RecordingError(
                "This recording is no longer on the server, which keeps none for long. "
                "Upload or record it again."
            )
        if path.stat().st_size > self.megabytes * 1e6:
            raise RecordingError(
                f"This file is too large: {path.stat().st_size / 1e6:.0f} MB, and the limit is "
                f"{self.megabytes:g} MB. Cut it or compress it."
            )
        try:
            info = probe(path)
        except MediaError as error:
            raise RecordingError(f"This file {_cause(error, path)}.") from error
        if info.duration_s is not None:
            self.check_duration(info.duration_s)
        if max(info.width or 0, info.height or 0) > _LARGEST_SIDE:
            raise RecordingError(
                f"This picture is too large: {info.width}×{info.height} pixels, and the limit is "
                f"{_LARGEST_SIDE} a side. Make it smaller."
            )
        return info

    def check_duration(self, duration_s: float) -> None:
        """Check a length in seconds.

        Raises:
            RecordingError: if it is above the limit.
        """
        if duration_s > self.duration_s:
            raise RecordingError(
                f"This recording is too long: {duration_s:.0f} s, and the limit is "
                f"{self.duration_s:g} s. Cut it, or use the command avsr transcribe."
            )

    @property
    def read_until_s(self) -> float:
        """How far to decode a file whose headers do not tell its length."""
        return self.duration_s + 1.0


def _cause(error: MediaError, path: Path) -> str:
    """The cause without the path of the server's temporary file: "is damaged", "holds no ..."."""
    return str(error).removeprefix(f"{path}: ").rstrip(".")

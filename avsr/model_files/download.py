"""One file from the web, by the hub's library: resumed, and checked before it takes its name."""

import hashlib
from glob import escape
from pathlib import Path

from avsr.errors import InputError, ModelUnavailableError, one_line
from avsr.model_files.hub_progress import told_download
from avsr.progress import Progress, show_nothing

_CHUNK_BYTES = 1024**2


def download(
    url: str,
    path: Path,
    *,
    n_bytes: int | None = None,
    sha256: str = "",
    progress: Progress = show_nothing,
) -> str:
    """Fetch a file; what was fetched before and broke off is not fetched again.

    Until it is whole it is called ``NAME.VERSION.part``, with a mark of the version that the server
    has, so that parts of different versions never meet.

    Args:
        url: of the file.
        path: to write; its folder is made.
        n_bytes: size to expect, where it is known.
        sha256: checksum to expect, where it is known.
        progress: told how much of it has come.

    Returns:
        What was verified, for the user.

    Raises:
        ModelUnavailableError: the server does not give the file, or the connection keeps breaking.
        InputError: the file is not what was expected, or cannot be written.
    """
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get

    try:
        about = get_hf_file_metadata(url)
        mark = hashlib.sha256((about.etag or "").encode()).hexdigest()[:8]
        part = path.with_name(f"{path.name}.{mark}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob(f"{escape(path.name)}.*part"):
            if old != part or not about.etag:  # of another version, or nobody knows of which
                old.unlink()
        with part.open("ab") as file, told_download(path.name, progress) as bar:
            size = about.size
            http_get(url, file, resume_size=file.tell(), expected_size=size, tqdm_class=bar)
    except HfHubHTTPError as error:
        raise ModelUnavailableError(f"{url}: {one_line(error)}") from error
    except OSError as error:
        if error.errno is None:  # by the library: too few bytes
            raise ModelUnavailableError(_broken(url, error)) from error
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); mend and repeat"
        ) from error
    except Exception as error:  # the errors of whatever speaks HTTP for the library
        raise ModelUnavailableError(_broken(url, error)) from error
    verified = _verify(part, about.size, n_bytes, sha256)
    part.replace(path)
    return verified


def _broken(url: str, error: Exception) -> str:
    return f"{url}: the connection breaks ({one_line(error)}); repeat the command to go on"


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

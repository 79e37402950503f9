"""Model folders that appear whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avsr.errors import UsageError

_OUR_MODEL_TYPES = ("avsr", "avhubert")


@contextmanager
def new_model_folder(path: Path) -> Iterator[Path]:
    """Open a folder for writing that takes its name only when the ``with`` block ends well.

    Args:
        path: of the folder; it may exist if it is empty, or a model folder to be replaced.

    Yields:
        The folder to write into, beside ``path``.

    Raises:
        UsageError: there is something else at ``path``, or no folder can be made there.
    """
    if path.exists() and not _is_replaceable(path):
        message = f"{path}: exists and is no model folder; give another folder"
        raise UsageError(message, settings=("output",))
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name[:40]}."))
    except OSError as error:
        raise UsageError(f"{path}: cannot make this folder ({error.strerror})") from None
    try:
        yield folder
        if path.exists():
            shutil.rmtree(path)
        folder.chmod(0o755)
        folder.rename(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _is_replaceable(path: Path) -> bool:
    if not path.is_dir():
        return False
    if not any(path.iterdir()):
        return True
    try:
        config = json.loads((path / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") in _OUR_MODEL_TYPES

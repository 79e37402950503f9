"""Model folders that appear whole or not at all."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from avsr.errors import UsageError
from avsr.outputs import check_outputs, note_output, was_noted

_PURPOSE = "converted model"
_MARK = "config.json"  # the file of a converted folder that is noted as ours
_NAMES = re.compile(
    r"(generation_|processor_|preprocessor_|tokenizer_)?config\.json|conversion\.json|vocab\.json"
    r"|tokenizer\.(json|model)|special_tokens_map\.json|added_tokens\.json|merges\.txt"
    r"|chat_template\.(json|jinja)|model(-\d+-of-\d+)?\.safetensors(\.index\.json)?|words\.txt"
)


@contextmanager
def new_model_folder(path: Path, inputs: Iterable[Path]) -> Iterator[Path]:
    """Open a folder for writing that takes its name only when the ``with`` block ends well.

    Args:
        path: of the folder; it may exist if it is empty, or was converted before.
        inputs: files and folders that are read meanwhile.

    Yields:
        The folder to write into, beside ``path``.

    Raises:
        UsageError: as :func:`check_model_folder` does, or no folder can be made there.
    """
    check_model_folder(path, inputs)
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
        note_output(path / _MARK, _PURPOSE)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def check_model_folder(path: Path, inputs: Iterable[Path]) -> None:
    """Find out before the work whether a model folder may be written.

    Args:
        path: of the folder.
        inputs: files and folders that are read meanwhile.

    Raises:
        UsageError: there is something else at ``path``, or an input in it.
    """
    whole = path.resolve()
    for file in inputs:
        if whole == file.resolve() or whole in file.resolve().parents:
            raise UsageError(f"{path}: holds the input {file}, which it may not replace")
    check_outputs([path], _PURPOSE, is_ours=_is_replaceable)


def _is_replaceable(path: Path) -> bool:
    """Whether a folder is empty, or was converted and holds nothing else since."""
    if not path.is_dir() or path.is_symlink():
        return False
    names = [entry.name for entry in path.iterdir()]
    is_model = all(_NAMES.fullmatch(name) for name in names)
    return not names or (
        is_model and ("conversion.json" in names or was_noted(path / _MARK, _PURPOSE))
    )

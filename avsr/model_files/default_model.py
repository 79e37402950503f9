"""Which model is used where none is named, and the places in which models and choices are kept."""

import os
from dataclasses import dataclass
from pathlib import Path

from avsr.atomic import write_text_atomically

BUNDLED_DEFAULT = "grid-tiny"
_CHOICE_FILE = "default-model"
CONVERTED = "converted"  # folder beside a downloaded checkpoint


@dataclass(frozen=True, kw_only=True)
class DefaultModel:
    """The model that is used where none is named.

    Attributes:
        name: a bundled name, a model folder or a hub id.
        reason: why this one.
    """

    name: str
    reason: str


def default_model() -> DefaultModel:
    """The model that the user fixed, else a published one that is ready, else the bundled one."""
    fixed = fixed_model()
    if fixed:
        return DefaultModel(name=fixed, reason="fixed by avsr models default")
    ready = converted_models()
    if ready:
        newest = max(ready, key=lambda folder: (folder / "config.json").stat().st_mtime)
        return DefaultModel(name=str(newest), reason="downloaded and converted")
    return DefaultModel(name=BUNDLED_DEFAULT, reason="comes with this package")


def fixed_model() -> str:
    """What :func:`fix_default` wrote last; empty if nothing."""
    try:
        return (settings_folder() / _CHOICE_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def fix_default(name: str) -> Path:
    """Use a model from now on; an empty name leaves the choice open again.

    Returns:
        The file that holds the choice.

    Raises:
        OSError: if it cannot be written.
    """
    file = settings_folder() / _CHOICE_FILE
    if not name:
        file.unlink(missing_ok=True)
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(file, name + "\n")
    return file


def converted_models() -> list[Path]:
    """Folders of published models that lie ready in the store."""
    return sorted(path.parent for path in model_store().glob(f"*/{CONVERTED}/config.json"))


def converted_folder(name: str) -> Path:
    """Where a published checkpoint belongs once it is converted."""
    return model_store() / name / CONVERTED


def model_store() -> Path:
    """Folder of downloaded models: below ``AVSR_CACHE``, else the user's cache folder."""
    cache = os.environ.get("AVSR_CACHE")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avsr"
    return Path(cache) / "models"


def settings_folder() -> Path:
    """Folder of choices: ``AVSR_CONFIG``, else in the user's configuration folder."""
    folder = os.environ.get("AVSR_CONFIG")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "avsr"

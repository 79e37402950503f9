"""The store of models: which there are, where each lies on this machine, fetching, the default.

Bundled models come with the package. Published ones and base models are fetched into the user's
cache folder, or into that of the Hugging Face hub.
"""

from dataclasses import dataclass
from pathlib import Path

from avsr.atomic import write_text_atomically
from avsr.errors import ModelUnavailableError, UsageError, one_line
from avsr.model_files.bundled import (
    BUNDLED_ALWAYS,
    BUNDLED_DEFAULT,
    BundledModel,
    bundled_models,
)
from avsr.model_files.hub_progress import told_download
from avsr.model_files.places import model_store, settings_folder
from avsr.model_files.published import PUBLISHED, PublishedModel
from avsr.progress import Progress, show_nothing

_CONVERTED = "converted"  # folder beside a downloaded checkpoint
_CHOICE_FILE = "default-model"
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # no copies in other formats


@dataclass(frozen=True, kw_only=True)
class ModelPlace:
    """Where a model is loaded from.

    Attributes:
        name: how it is shown to the user.
        folder: its model folder.
        bundled: what is known of one that comes with the package.
    """

    name: str
    folder: Path
    bundled: BundledModel | None = None


@dataclass(frozen=True, kw_only=True)
class DefaultModel:
    """The model that is used where none is named.

    Attributes:
        name: a bundled name, a model folder or a hub id.
        reason: why this one.
        instead: the bundled model that reads where this one, which nobody chose, cannot be had.
    """

    name: str
    reason: str
    instead: str | None = None


def published_model(name: str) -> PublishedModel:
    """A published model or base model by name.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in PUBLISHED:
        raise UsageError(f"{name}: no such model; avsr models list shows them")
    return PUBLISHED[name]


def find_model(
    name_or_folder: str | Path, *, offline: bool = False, progress: Progress = show_nothing
) -> ModelPlace:
    """The folder of a model that is to be loaded.

    Args:
        name_or_folder: a bundled name, a folder with a ``config.json``, or a hub id ``owner/name``,
            which is downloaded the first time.
        offline: never download.
        progress: told how much of it has come.

    Raises:
        ModelUnavailableError: there is no such model, or it cannot be fetched.
    """
    name, folder = str(name_or_folder), Path(name_or_folder)
    bundled = bundled_models().get(name)
    if bundled is not None:
        return ModelPlace(name=name, folder=bundled.folder, bundled=bundled)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelUnavailableError(f"{folder}: not a model folder (it has no config.json)")
        resolved = folder.resolve()
        published = resolved.name == _CONVERTED  # its folder's name says which
        shown = resolved.parent.name if published else resolved.name
        return ModelPlace(name=shown, folder=folder)
    if isinstance(name_or_folder, str) and is_hub_id(name):
        try:
            fetched = hub_folder(name, offline=offline, progress=progress)
            return ModelPlace(name=name, folder=fetched)
        except OSError as error:
            message = f"{name}: no such folder, and it {error}"
            raise ModelUnavailableError(message) from error
    known = ", ".join(bundled_models()) or "none"
    raise ModelUnavailableError(
        f"{name}: no such model; give a bundled name ({known}), a folder, or a hub id owner/name"
    )


def is_hub_id(name: str) -> bool:
    """Whether a name looks like ``owner/name``."""
    owner, _, repository = name.partition("/")
    return bool(owner and repository) and "/" not in repository and not name.startswith((".", "~"))


def hub_folder(
    hub_id: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    files: list[str] | None = None,
    progress: Progress = show_nothing,
) -> Path:
    """Folder of a model of the hub, downloaded the first time unless that is forbidden.

    Args:
        hub_id: ``owner/name``.
        revision: a branch, tag or commit.
        offline: never download.
        files: patterns of the files that are wanted; None is all.
        progress: told how much of it has come.

    Raises:
        OSError: it is not here and cannot be fetched; the message is one line.
    """
    import huggingface_hub

    try:
        with told_download(hub_id, progress) as bar:
            return Path(
                huggingface_hub.snapshot_download(
                    hub_id,
                    revision=revision,
                    allow_patterns=files,
                    local_files_only=offline,
                    tqdm_class=bar,
                )
            )
    except huggingface_hub.errors.GatedRepoError as error:
        raise OSError(
            f"is gated; ask for access on the page of {hub_id} on the Hugging Face hub, then run "
            "hf auth login and repeat"
        ) from error
    except Exception as error:  # any failure is the same to the user, with its cause
        raise OSError(f"cannot be fetched from the hub: {one_line(error)[:160]}") from error


def stored_model(model: PublishedModel) -> Path | None:
    """Where a published model is on this machine, however it came there; None if it is not."""
    if model.hub_id:
        try:
            return hub_folder(model.hub_id, offline=True, files=_HUB_FILES)
        except OSError:
            return None
    found = (
        path
        for path in (model_store() / model.name).glob(f"{model.file}*")
        if ".part" not in path.name
    )
    return next(iter(sorted(found)), None)


def fetch_model(model: PublishedModel, progress: Progress = show_nothing) -> tuple[Path, str]:
    """Fetch a published model; a broken download goes on where it stopped.

    Args:
        model: it.
        progress: told how much of it has come.

    Returns:
        Where it is now, and what was verified; empty where the hub's library did that.

    Raises:
        ModelUnavailableError: it cannot be fetched.
        InputError: what came is not what was expected.
    """
    if model.hub_id:
        try:
            return hub_folder(model.hub_id, files=_HUB_FILES, progress=progress), ""
        except OSError as error:
            raise ModelUnavailableError(f"{model.name}: {error}") from error
    target = model_store() / model.name / model.file
    if not model.url:
        raise ModelUnavailableError(
            f"{model.name}: has no address that a program can fetch; open {model.page} in a "
            f"browser and save {model.file} as {target}"
        )
    from avsr.model_files.download import download

    verified = download(
        model.url, target, n_bytes=model.n_bytes, sha256=model.sha256, progress=progress
    )
    return target, verified


def converted_folder(name: str) -> Path:
    """Where a published checkpoint belongs once it is converted."""
    return model_store() / name / _CONVERTED


def default_model() -> DefaultModel:
    """The model that the user fixed, else a published one that is ready, else a bundled one."""
    try:
        fixed = (settings_folder() / _CHOICE_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        fixed = ""
    if fixed:
        return DefaultModel(name=fixed, reason="fixed by avsr models default")
    ready = [path.parent for path in model_store().glob(f"*/{_CONVERTED}/config.json")]
    if ready:
        newest = max(ready, key=lambda folder: (folder / "config.json").stat().st_mtime)
        return DefaultModel(name=str(newest), reason="downloaded and converted")
    if BUNDLED_DEFAULT in bundled_models():
        reason = "comes with this package, reads English"
        return DefaultModel(name=BUNDLED_DEFAULT, reason=reason, instead=BUNDLED_ALWAYS)
    return DefaultModel(name=BUNDLED_ALWAYS, reason="comes with this package")


def fix_default(name: str) -> Path:
    """Use a model from now on; an empty name leaves the choice open again.

    Args:
        name: a bundled name, a published model that is converted, a model folder, or a hub id.

    Returns:
        The file that holds the choice.

    Raises:
        ModelUnavailableError: the published model is not ready.
        UsageError: there is no such model, or the choice cannot be written.
    """
    file = settings_folder() / _CHOICE_FILE
    try:
        if not name:
            file.unlink(missing_ok=True)
            return file
        usable = _usable_name(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(file, usable + "\n")
    except OSError as error:
        message = f"cannot write the choice ({one_line(error)}); free space, set AVSR_CONFIG"
        raise UsageError(message) from error
    return file


def _usable_name(name: str) -> str:
    """A model that can be loaded without further work, by the name under which it is found."""
    folder = Path(name)
    if name in bundled_models():
        return name
    if name in PUBLISHED:
        converted = converted_folder(name)
        if not (converted / "config.json").is_file():
            raise ModelUnavailableError(
                f"{name}: is not ready; run avsr models download {name}, then the avsr convert "
                "command that it names"
            )
        return str(converted)
    if (folder / "config.json").is_file():
        return str(folder.resolve())
    if is_hub_id(name) and not folder.exists():
        return name
    raise UsageError(f"{name}: is no model; give a name of avsr models list, a folder or a hub id")

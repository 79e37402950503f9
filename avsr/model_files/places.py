"""Where models and choices are kept on this machine, and whether the network may be used."""

import os
from pathlib import Path

__all__ = [
    "base_store",
    "is_offline",
    "model_store",
    "settings_folder",
]


def model_store() -> Path:
    """Folder of downloaded models: below ``AVSR_CACHE``, else the user's cache folder."""
    cache = os.environ.get("AVSR_CACHE")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avsr"
    return Path(cache) / "models"


def base_store() -> Path:
    """Folder of the base models that bundled models are built around, each by its name."""
    return model_store() / "base"


def settings_folder() -> Path:
    """Folder of choices: ``AVSR_CONFIG``, else in the user's configuration folder."""
    folder = os.environ.get("AVSR_CONFIG")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "avsr"


def is_offline() -> bool:
    """Whether the environment forbids the network, by the variable of the hub's library."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")

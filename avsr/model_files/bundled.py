"""Models that come inside this package, some of them around base models that are fetched once."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsr.model_files.base_packages import BASE_PACKAGES, BasePackage

__all__ = [
    "BUNDLED_ALWAYS",
    "BUNDLED_DEFAULT",
    "BUNDLED_FOLDER",
    "BundledModel",
    "bundled_models",
]

BUNDLED_DEFAULT = "english"  # what reads where no model is named
BUNDLED_ALWAYS = "grid-tiny"  # what reads where that one's base models cannot be had
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"
_LICENCES = {"grid-tiny": "CC BY 4.0", "english": "CC BY-SA 4.0"}
_WHAT_IT_READS = {
    "grid-tiny": "reads only the commands of the GRID corpus, such as 'bin blue at f two now'; "
    "english reads any English: avsr models download english",
}
_STYLES = {"english": "English in lower-case words, numbers as words"}


@dataclass(frozen=True, kw_only=True)
class BundledModel:
    """A model of this package.

    Attributes:
        name: what it is called.
        folder: its model folder.
    """

    name: str
    folder: Path

    @property
    def bases(self) -> list[BasePackage]:
        """The base models that it needs and does not hold."""
        named = (self._config.get("base_models") or {}).values()
        return [BASE_PACKAGES[base["name"]] for base in named if base["name"] in BASE_PACKAGES]

    @property
    def missing(self) -> list[BasePackage]:
        """Those of its base models that have not been fetched."""
        return [base for base in self.bases if not base.is_here]

    @property
    def licence(self) -> str:
        """Of the weights, and of the base models."""
        own = [licence] if (licence := _LICENCES.get(self.name)) else []
        return ", ".join([*own, *(f"{base.name} {base.licence}" for base in self.bases)])

    @property
    def note(self) -> str:
        """What a user must know before trusting it; empty if nothing."""
        known = _WHAT_IT_READS.get(self.name)
        return f"{self.name} {known}" if known else ""

    @property
    def summary(self) -> str:
        """What it reads, at which rates, and what it is built around."""
        config = self._config
        rates = [
            f"{stream} rates {','.join(map(str, config[f'{stream}_rates']))}"
            for stream in ("audio", "video")
            if config.get(f"{stream}_config")
        ]
        about = [", ".join(config.get("modalities") or ()), ", ".join(rates)]
        if self.name in _STYLES:
            about.append(_STYLES[self.name])
        return "; ".join(about)

    @property
    def size(self) -> str:
        """Of all its files, such as "7 MB", and of the wheels of its base models."""
        n_bytes = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        fetched = sum(base.megabytes for base in self.bases)
        return f"{n_bytes / 1e6:.0f} MB" + (f" + {fetched} MB" if fetched else "")

    @property
    def state(self) -> str:
        """Whether all of it is on this machine."""
        return "fetched on first use" if self.missing else "here"

    @property
    def _config(self) -> dict[str, Any]:
        return json.loads((self.folder / "config.json").read_text(encoding="utf-8"))


def bundled_models() -> dict[str, BundledModel]:
    """The models that come inside this package, by name."""
    folders = sorted(path.parent for path in BUNDLED_FOLDER.glob("*/config.json"))
    return {folder.name: BundledModel(name=folder.name, folder=folder) for folder in folders}

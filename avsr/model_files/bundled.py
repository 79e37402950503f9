"""Models that come inside this package."""

import json
from dataclasses import dataclass
from pathlib import Path

BUNDLED_DEFAULT = "grid-tiny"
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"
_LICENCES = {"grid-tiny": "CC BY 4.0"}
_WHAT_IT_READS = {
    "grid-tiny": "reads only the commands of the GRID corpus, such as 'bin blue at f two now'; "
    "for open vocabulary see avsr models list",
}


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
    def licence(self) -> str:
        """Of the weights."""
        return _LICENCES.get(self.name, "")

    @property
    def note(self) -> str:
        """What a user must know before trusting it; empty if nothing."""
        known = _WHAT_IT_READS.get(self.name)
        return f"{self.name} {known}" if known else ""

    @property
    def summary(self) -> str:
        """What it reads, and at which rates."""
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        rates = [
            f"{stream} rates {','.join(map(str, config[f'{stream}_rates']))}"
            for stream in ("audio", "video")
            if config.get(f"{stream}_config")
        ]
        return f"{', '.join(config.get('modalities') or ())}; {', '.join(rates)}"

    @property
    def size(self) -> str:
        """Of all its files, such as "7 MB"."""
        n_bytes = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return f"{n_bytes / 1e6:.0f} MB"


def bundled_models() -> dict[str, BundledModel]:
    """The models that come inside this package, by name."""
    folders = sorted(path.parent for path in BUNDLED_FOLDER.glob("*/config.json"))
    return {folder.name: BundledModel(name=folder.name, folder=folder) for folder in folders}

"""The sample clips that come with the package."""

import filecmp
import json
from dataclasses import dataclass
from pathlib import Path

from avsr.lines import read_lines

_HERE = Path(__file__).parent
_TITLES = {
    "clean": "Clean",
    "babble_0db": "In babble, 0 dB",
    "silent": "Silent film",
    "english": "Everyday English",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A clip to try the demo with.

    Attributes:
        id: short name.
        title: what its button says.
        path: the file.
        text: what is said in it.
        model: the bundled model that it was made for, and that reads it best.
        snr_db: ratio of the voice to the babble that is in the recording; None without babble.
    """

    id: str
    title: str
    path: Path
    text: str
    model: str
    snr_db: float | None


def samples() -> list[Sample]:
    """The clips in the order of their manifest."""
    folder = _folder()
    records = read_lines(folder / "manifest.jsonl")
    return [
        Sample(
            id=record["id"],
            title=_TITLES[record["id"]],
            path=folder / record["path"],
            text=record["text"],
            model=record["model"],
            snr_db=record.get("snr_db"),
        )
        for record in map(json.loads, records)
    ]


def sample_in(path: Path) -> Sample | None:
    """The sample that a file is a copy of, whatever its name; None for any other file."""
    return next((one for one in samples() if filecmp.cmp(one.path, path, shallow=False)), None)


def _folder() -> Path:
    """Inside the package in a wheel, beside it in a checkout."""
    inside = _HERE / "samples"
    return inside if inside.is_dir() else _HERE.parent / "samples"

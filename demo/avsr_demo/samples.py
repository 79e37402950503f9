"""The sample clips that come with the package."""

import json
from dataclasses import dataclass
from pathlib import Path

from avsr.lines import read_lines

_HERE = Path(__file__).parent
_TITLES = {
    "clean": "Clean",
    "babble_0db": "Babble, 0 dB",
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
    """

    id: str
    title: str
    path: Path
    text: str


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
        )
        for record in map(json.loads, records)
    ]


def _folder() -> Path:
    """Inside the package in a wheel, beside it in a checkout."""
    inside = _HERE / "samples"
    return inside if inside.is_dir() else _HERE.parent / "samples"

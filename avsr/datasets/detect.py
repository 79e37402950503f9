"""Choosing the reader of a corpus: by name, or by what is in the folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avsr.datasets import autoavsr, fairseq, folders, grid, jsonl, lrs2, lrs3
from avsr.datasets.dataset import Dataset
from avsr.errors import UsageError

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way in which corpora lie on disk.

    Attributes:
        looked_for: what tells it, for messages.
        recognises: whether a path has this layout.
        read: reads a path, or one split of it.
    """

    looked_for: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, str | None], Dataset]


# In the order that they are tried: label files first, as they may lie among the media of others.
LAYOUTS: dict[str, Layout] = {
    module.NAME: Layout(
        looked_for=module.LOOKED_FOR, recognises=module.recognises, read=module.read
    )
    for module in (jsonl, fairseq, autoavsr, lrs2, lrs3, grid, folders)
}


def read_dataset(source: str | Path, layout: str = AUTO, split: str | None = None) -> Dataset:
    """Read the labels of a corpus; media files are not looked at.

    Args:
        source: a folder, or a label file.
        layout: a key of :data:`LAYOUTS`, or ``"auto"`` to go by what is there.
        split: a part of the corpus, as its layout names them; None is all.

    Raises:
        UsageError: if nothing is there, no layout fits, or its labels cannot be read.
    """
    source = Path(source)
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder")
    if layout == AUTO:
        layout = detect_layout(source)
    if layout not in LAYOUTS:
        raise UsageError(f"layout must be one of auto, {', '.join(LAYOUTS)}; got {layout!r}")
    return LAYOUTS[layout].read(source, split)


def detect_layout(source: Path) -> str:
    """The first layout that recognises a path.

    Raises:
        UsageError: if none does; the message lists what was looked for.
    """
    for name, layout in LAYOUTS.items():
        if layout.recognises(source):
            return name
    looked_for = "; ".join(f"{name}: {layout.looked_for}" for name, layout in LAYOUTS.items())
    raise UsageError(f"{source}: no layout recognised; looked for {looked_for}")

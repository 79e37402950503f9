"""Raw LRS2: ``mvlrs_v1/{main,pretrain}/<video>/<number>.mp4``, ``.txt`` beside, and list files.

The lists ``pretrain.txt``, ``train.txt``, ``val.txt`` and ``test.txt`` name the clips of each
split, ``<video>/<number>`` on each line; what follows on a line is no part of the name.
"""

from pathlib import Path

from avsr.datasets.dataset import (
    Dataset,
    DatasetBuilder,
    choose_split,
    read_label_lines,
)
from avsr.datasets.lrs_text import add_lrs_clip
from avsr.errors import UsageError

NAME = "lrs2"
LOOKED_FOR = "main/ or pretrain/ (perhaps in mvlrs_v1/) with train.txt, val.txt, test.txt lists"
SPLITS = ("pretrain", "train", "val", "test")


def recognises(source: Path) -> bool:
    """Whether a folder is LRS2: its clips, and at least one list."""
    clips = _clip_folder(source)
    return clips is not None and bool(_lists(source, clips))


def read(source: Path, split: str | None = None) -> Dataset:
    """Read LRS2; ids are ``main/<video>/<number>`` and ``pretrain/<video>/<number>``.

    A clip that a list names stays in even where its video is missing.

    Raises:
        UsageError: if clips, lists or the split are not there.
    """
    clips = _clip_folder(source)
    if clips is None:
        raise UsageError(f"{source}: no LRS2 here; expected {LOOKED_FOR}")
    lists = _lists(source, clips)
    builder = DatasetBuilder(NAME)
    for name in choose_split(source, list(lists), split):
        part = "pretrain" if name == "pretrain" else "main"
        for line in read_label_lines(lists[name]):
            if not line.strip():
                continue
            clip_id = f"{part}/{line.split()[0]}"
            media = clips / f"{clip_id}.mp4"
            text = clips / f"{clip_id}.txt"
            add_lrs_clip(builder, media, text, clip_id, name, is_long=part == "pretrain")
    return builder.finish(source)


def _clip_folder(source: Path) -> Path | None:
    for folder in (source / "mvlrs_v1", source):
        if (folder / "main").is_dir() or (folder / "pretrain").is_dir():
            return folder
    return None


def _lists(source: Path, clips: Path) -> dict[str, Path]:
    """The list files, beside the folder of clips or in it."""
    lists: dict[str, Path] = {}
    for name in SPLITS:
        for folder in (source, clips, clips.parent):
            path = folder / f"{name}.txt"
            if path.is_file():
                lists.setdefault(name, path)
    return lists

"""Raw LRS3: ``{pretrain,trainval,test}/<video>/<number>.mp4`` with a ``.txt`` beside each.

The videos of ``pretrain`` are long; they are cut at word boundaries by preparation. LRS3 has no
split for development: carve one out of ``trainval`` by speaker.
"""

from pathlib import Path

from avsr.datasets.dataset import Dataset, DatasetBuilder, choose_split
from avsr.datasets.lrs_text import add_lrs_clip, is_lrs_text

NAME = "lrs3"
LOOKED_FOR = "pretrain/, trainval/ or test/ with <video>/<number>.mp4 and .txt ('Text: ...')"
SPLITS = ("pretrain", "trainval", "test")


def recognises(source: Path) -> bool:
    """Whether a folder is LRS3, or one split of it."""
    return any(
        is_lrs_text(text)
        for folder in _split_folders(source).values()
        for text in _first(folder, "*/*.txt")
    )


def read(source: Path, split: str | None = None) -> Dataset:
    """Read LRS3; ids are ``test/<video>/<number>`` and so on.

    A clip with a text stays in even where its video is missing.

    Raises:
        UsageError: if the split is not there or nothing in it has a transcript.
    """
    folders = _split_folders(source)
    builder = DatasetBuilder(NAME)
    for name in choose_split(source, list(folders), split):
        files = (path for path in folders[name].glob("*/*") if path.suffix in (".mp4", ".txt"))
        for clip in sorted({path.with_suffix("") for path in files}):
            clip_id = f"{name}/{clip.parent.name}/{clip.name}"
            media, text = clip.with_suffix(".mp4"), clip.with_suffix(".txt")
            add_lrs_clip(builder, media, text, clip_id, name, is_long=name == "pretrain")
    return builder.finish(source)


def _split_folders(source: Path) -> dict[str, Path]:
    """The splits below a folder, or the folder itself where it is one."""
    if source.resolve().name in SPLITS and not any((source / name).is_dir() for name in SPLITS):
        return {source.resolve().name: source}
    return {name: source / name for name in SPLITS if (source / name).is_dir()}


def _first(folder: Path, pattern: str) -> list[Path]:
    found = next(folder.glob(pattern), None)
    return [] if found is None else [found]

"""A plain folder, at any depth, of media files with a ``.txt`` of the same name beside each.

A text may begin with ``Text:`` as those of LRS3 do; otherwise all its lines are the transcript. A
sound file beside a video of the same name is taken for its sound.
"""

from collections.abc import Iterator
from pathlib import Path

from avsr.datasets.dataset import (
    SOUND_SUFFIXES,
    VIDEO_SUFFIXES,
    Dataset,
    DatasetBuilder,
    SourceClip,
)
from avsr.datasets.lrs_text import is_lrs_text, parse_lrs_text
from avsr.errors import UsageError
from avsr.manifest import Utterance

NAME = "folder"
LOOKED_FOR = "video or sound files with a .txt of the same name beside each"


def recognises(source: Path) -> bool:
    """Whether a folder has at least one media file with its text."""
    return any(media.with_suffix(".txt").is_file() for media, _ in _media(source))


def read(source: Path, split: str | None = None) -> Dataset:
    """Read a folder; ids are paths below it without the ending.

    Args:
        source: the folder.
        split: a folder below it to read alone; ids still begin with its name.

    Raises:
        UsageError: if there is nothing to read.
    """
    folder = source if split is None else source / split
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; a split of this layout is a folder")
    builder = DatasetBuilder(NAME)
    for media, sound in _media(folder):
        clip_id = media.relative_to(source).with_suffix("").as_posix()
        path = media.with_suffix(".txt")
        try:
            content = path.read_text(encoding="utf-8-sig")
            text = parse_lrs_text(content).text if is_lrs_text(path) else content
        except FileNotFoundError:
            builder.note("missing label", clip_id, f"{media}: no {path.name} beside it")
            continue
        except (OSError, ValueError) as error:
            builder.note("bad label", clip_id, f"{path}: {error}")
            continue
        parent = media.parent
        utterance = Utterance(
            id=clip_id,
            path=media,
            text=" ".join(text.split()),
            speaker=None if parent == source else parent.relative_to(source).as_posix(),
            audio_path=sound,
        )
        builder.add(SourceClip(utterance=utterance, split=split))
    return builder.finish(folder)


def _media(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """Media files in order, each with the sound file that belongs to it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    videos = {path.with_suffix("") for path in files if path.suffix.lower() in VIDEO_SUFFIXES}
    sounds = {path.with_suffix(""): path for path in files if path.suffix.lower() in SOUND_SUFFIXES}
    for path in files:
        name = path.with_suffix("")
        if path.suffix.lower() in VIDEO_SUFFIXES:
            yield path, sounds.get(name)
        elif path.suffix.lower() in SOUND_SUFFIXES and name not in videos:
            yield path, None

"""A folder of decoded and cropped clips, so that repeated work on a manifest is quick.

One clip file for each utterance, named after its id, written whole or not at all. An entry is
used only while the media file has the size and date it was made from.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from avsr.clips.clip import CLIP_FORMAT, CLIP_SUFFIX, Clip, load_clip, read_note, save_clip
from avsr.clips.read import read_utterance
from avsr.errors import UsageError
from avsr.manifest import Utterance

__all__ = ["ClipCache", "source_key"]


class ClipCache:
    """Clips of utterances, read from their media files the first time they are wanted.

    Attributes:
        folder: where entries are kept.
    """

    def __init__(self, folder: Path) -> None:
        """Use a folder, made if it is missing.

        Raises:
            UsageError: if it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{folder}: cannot make this cache folder ({error.strerror})"
            ) from None
        self.folder = folder

    def clip(self, utterance: Utterance, *, sound: bool = True, picture: bool = True) -> Clip:
        """The clip of an utterance, with at least the streams that are wanted.

        Raises:
            MediaError: if it is not cached and its file cannot be read.
            OSError: if the entry cannot be written.
        """
        if utterance.path.suffix == CLIP_SUFFIX:  # prepared: nothing to gain from another copy
            return read_utterance(utterance, sound=sound, picture=picture)
        path = self.folder / f"{quote(utterance.id, safe=' ')[:200]}{CLIP_SUFFIX}"
        key = source_key(utterance)
        note = None if key is None else read_note(path)
        kept = note.key if note is not None else []
        if kept[:-2] != key or (sound and not kept[-2]) or (picture and not kept[-1]):
            clip = read_utterance(utterance, sound=sound, picture=picture)
            save_clip(path, clip, [*(key or []), sound, picture])
        return load_clip(path, sound=sound, picture=picture)


def source_key(utterance: Utterance) -> list[Any] | None:
    """What a clip file made of an utterance depends on; None where a file of it is missing.

    Folders do not count, so that a corpus may be moved with its dates.
    """
    key: list[Any] = [CLIP_FORMAT, utterance.start, utterance.end, utterance.cropped]
    for path in (utterance.path, utterance.audio_path):
        if path is None:
            continue
        try:
            status = path.stat()
        except OSError:
            return None
        key += [path.name, status.st_size, status.st_mtime_ns]
    return key

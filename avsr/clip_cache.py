"""A folder of decoded and cropped clips, so that repeated work on a manifest is quick.

One ``.npz`` file for each utterance, named after its id, written whole or not at all. An entry is
used only while the media file has the size and date it was made from.
"""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from avsr.atomic import atomic_file
from avsr.clip import Clip, read_clip
from avsr.errors import UsageError
from avsr.manifest import Utterance
from avsr_frontends.landmarks import TrackReport

_FORMAT = 1  # raised whenever crops or audio are made differently


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
        path = self.folder / f"{quote(utterance.id, safe=' ')[:200]}.npz"
        key = _key(utterance)
        if key is not None and (clip := _load(path, key, sound=sound, picture=picture)):
            return clip
        clip = read_clip(
            utterance.path, utterance.start, utterance.end, sound=sound, picture=picture
        )
        _save(path, clip, {"key": key, "sound": sound, "picture": picture})
        return clip


def _key(utterance: Utterance) -> list[Any] | None:
    """What an entry depends on; None where the file is missing."""
    try:
        status = utterance.path.stat()
    except OSError:
        return None
    source = str(utterance.path.resolve())
    return [_FORMAT, source, status.st_size, status.st_mtime_ns, utterance.start, utterance.end]


def _save(path: Path, clip: Clip, about: dict[str, Any]) -> None:
    about |= {
        "face": None if clip.face is None else asdict(clip.face),
        "warnings": list(clip.warnings),
        "undecodable": list(clip.undecodable),
    }
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
    if clip.audio is not None:
        arrays["audio"] = clip.audio
    if clip.mouth is not None:
        arrays["mouth"] = clip.mouth
    with atomic_file(path) as file:
        np.savez(file, **arrays)


def _load(path: Path, key: list[Any], *, sound: bool, picture: bool) -> Clip | None:
    """The entry, or None where there is none that serves."""
    try:
        arrays = np.load(path)
    except (OSError, ValueError, zipfile.BadZipFile):  # missing, or not one of our entries
        return None
    with arrays:
        about = json.loads(arrays["about"].tobytes())
        if about["key"] != key or (sound and not about["sound"]):
            return None
        if picture and not about["picture"]:
            return None
        face = about["face"]
        if face is not None:
            face["gaps"] = [(start, end) for start, end in face["gaps"]]
        return Clip(
            audio=arrays["audio"] if sound and "audio" in arrays else None,
            mouth=arrays["mouth"] if picture and "mouth" in arrays else None,
            face=TrackReport(**face) if face is not None and picture else None,
            warnings=tuple(about["warnings"]),
            undecodable=tuple(about["undecodable"]),
        )

"""Manifests: JSON Lines files that name clips and their texts.

Each line is an object with ``id``, ``path`` (relative to the manifest's folder) and ``text``;
``speaker``, ``start`` and ``end`` (seconds within the file) are optional, and so are ``audio`` (a
file of its own for the sound) and ``cropped`` (true where the video holds 96x96 mouth crops
already); other keys are ignored. NeMo's manifests are read too: ``audio_filepath`` in place of
``path``, which then gives the id as well, and ``offset`` and ``duration`` of a part of the file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsr.errors import UsageError
from avsr.lines import read_lines

_NEMO_PATH = "audio_filepath"

__all__ = ["Utterance", "parse_line", "read_manifest"]


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One clip and its transcript.

    Attributes:
        id: unique within the manifest.
        path: the media file.
        text: the words spoken, as the manifest has them.
        speaker: who speaks, or None where unknown.
        start: start within the file in seconds, or None for its beginning.
        end: end within the file in seconds, or None for its end.
        audio_path: the file with the sound, or None where ``path`` holds it.
        cropped: whether the picture shows mouth crops of 96x96 pixels already.
    """

    id: str
    path: Path
    text: str
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    audio_path: Path | None = None
    cropped: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read: the media file, and that of the sound where it is another."""
        return (self.path,) if self.audio_path is None else (self.path, self.audio_path)


def read_manifest(path: str | Path) -> list[Utterance]:
    """Read a manifest.

    Raises:
        UsageError: if the file is missing or empty, a line is malformed, or an id comes twice;
            media files are not looked at.
    """
    path = Path(path)
    try:
        lines = read_lines(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such manifest; give a JSON Lines file") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot read this manifest ({error})") from error
    utterances: dict[str, Utterance] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            utterance = parse_line(line, path.parent)
            if not utterance.text.strip():
                raise ValueError(f"'text' must be a text that is not empty, got {utterance.text!r}")
        except ValueError as error:
            raise UsageError(f"{path} line {number}: {error}") from None
        if utterance.id in utterances:
            raise UsageError(
                f"{path} line {number}: id {utterance.id!r} comes twice; make it unique"
            )
        utterances[utterance.id] = utterance
    if not utterances:
        raise UsageError(f"{path}: the manifest is empty; add one JSON object per line")
    return list(utterances.values())


def parse_line(line: str, folder: Path) -> Utterance:
    """Read one line of a manifest.

    Args:
        line: a JSON object; its text may be empty.
        folder: what its paths are relative to.

    Raises:
        ValueError: if it is malformed; the message is part of a line.
    """
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        if line.lstrip().startswith("["):
            raise ValueError("a JSON array, not JSON Lines; write one object a line") from None
        raise ValueError(f"not JSON ({error.msg} at column {error.colno})") from None
    if not isinstance(entry, dict):
        raise ValueError(f"expected a JSON object, got {type(entry).__name__}")
    if _NEMO_PATH in entry and "path" not in entry:
        entry = _of_nemo(entry)
    start, end = (_seconds(entry, key) for key in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        raise ValueError(f"end ({end}) must come after start ({start or 0.0})")
    speaker, audio, text = entry.get("speaker"), entry.get("audio"), entry.get("text")
    if not isinstance(text, str):
        raise ValueError(f"'text' must be a text, got {text!r}")
    return Utterance(
        id=_id(entry),
        path=folder / _string(entry, "path"),
        text=text,
        speaker=None if speaker is None else str(speaker),
        start=start,
        end=end,
        audio_path=None if audio is None else folder / _string(entry, "audio"),
        cropped=bool(entry.get("cropped", False)),
    )


def _of_nemo(entry: dict[str, Any]) -> dict[str, Any]:
    """The same in our keys; without an offset the duration is that of the file."""
    path = _string(entry, _NEMO_PATH)
    clip_id = str(Path(path).with_suffix(""))
    values = {"id": clip_id, **entry, "path": path}
    offset = _seconds(entry, "offset")
    if offset is not None:
        duration = _seconds(entry, "duration")
        values |= {"start": offset, "end": None if duration is None else offset + duration}
        values["id"] = entry.get("id", f"{clip_id}@{offset:g}")
    return values


def _id(entry: dict[str, Any]) -> str:
    value = entry.get("id")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _string(entry, "id")


def _string(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key!r} must be a text that is not empty, got {value!r}")
    return value


def _seconds(entry: dict[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < float("inf")
    ):
        raise ValueError(f"{key!r} must be seconds from 0 on, got {value!r}")
    return float(value)

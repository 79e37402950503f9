"""What is done of a long transcription, on disk, so that an interrupted run goes on from there.

JSON Lines: first what the work was made from and asked for, then a line for each finished stretch.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avsr.atomic import write_text_atomically
from avsr.lines import read_lines
from avsr.recognition.readability import Signs
from avsr.recognition.stretch import Stretch
from avsr.route import Route
from avsr.transcription import Segment, Word
from avsr_frontends.landmarks import TrackReport


class PartialFile:
    """The finished stretches of one transcription.

    Attributes:
        path: the file, in a folder that exists; it appears with the first stretch.
    """

    def __init__(self, path: Path, key: dict[str, Any]) -> None:
        """Name the file.

        Args:
            path: where it is or will be.
            key: plain values for JSON; what was done for another key is not used.
        """
        self.path = path
        self._key = json.loads(json.dumps(key))

    def load(self) -> list[Stretch]:
        """The stretches that are done, in order; none where the file is missing or foreign."""
        try:
            lines = read_lines(self.path)
        except (OSError, ValueError):
            return []
        try:
            if not lines or json.loads(lines[0]) != self._key:
                return []
            return [_stretch(json.loads(line)) for line in lines[1:]]
        except (ValueError, KeyError, TypeError):  # of another version, or not ours at all
            return []

    def save(self, stretches: list[Stretch]) -> None:
        """Write all finished stretches, whole or not at all.

        Raises:
            OSError: if the folder cannot be written to.
        """
        lines = [self._key, *map(asdict, stretches)]
        text = "".join(json.dumps(line) + "\n" for line in lines)  # ASCII: whatever file names
        write_text_atomically(self.path, text)

    def remove(self) -> None:
        """Delete the file, if it is there."""
        self.path.unlink(missing_ok=True)


def _stretch(values: dict[str, Any]) -> Stretch:
    segments = tuple(
        Segment(
            **{
                **segment,
                "words": tuple(Word(**word) for word in segment["words"]),
                "tokens": tuple(segment["tokens"]),
                "route": None if segment["route"] is None else Route(**segment["route"]),
            }
        )
        for segment in values["segments"]
    )
    face = values["face"]
    if face is not None:
        face = TrackReport(**{**face, "gaps": [(start, end) for start, end in face["gaps"]]})
    lists = {name: tuple(values[name]) for name in ("left_out", "looped")}
    signs = {modality: Signs(**found) for modality, found in values["signs"].items()}
    return Stretch(**{**values, **lists, "segments": segments, "face": face, "signs": signs})

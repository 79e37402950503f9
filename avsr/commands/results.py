"""Where results go: formats, files beside each other in one folder, standard output."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avsr.commands.messages import json_line
from avsr.commands.output_names import FACE, Destination, name_results
from avsr.errors import InputError, UsageError
from avsr.inputs import InputFile
from avsr.outputs import check_outputs, note_output, write_output

if TYPE_CHECKING:
    from avsr.rendering import SubtitleStyle
    from avsr.transcription import TranscriptionResult

FORMATS = ("txt", "srt", "vtt", "tsv", "json")  # as in avsr.rendering, which is heavier
RESULT, _LIPS = "transcript", "lips"  # purposes of files


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """The files that one input's result is written to.

    Attributes:
        paths: one for each format; empty where results are only printed.
        partial: keeps what is done of a long input until they are written.
        lips: videos of the mouth are called this and ``-face1.mp4`` and so on; None for none.
        face: what a path calls a face that nothing tells apart from others.
    """

    paths: dict[str, Path]
    partial: Path | None = None
    lips: Path | None = None
    face: str = "1"

    @property
    def known(self) -> list[Path]:
        """The files, of those for each face the first or those that are there."""
        found: list[Path] = []
        for path in self.paths.values():
            there = _glob(path) if FACE in str(path) else []
            found += there or [_of_face(path, self.face)]
        return found

    @property
    def exist(self) -> bool:
        """Whether all of them are there already."""
        return bool(self.paths) and all(path.is_file() for path in self.known)

    def write(self, result: "TranscriptionResult", style: "SubtitleStyle") -> dict[str, Path]:
        """Write all of them, each whole or not at all.

        Returns:
            What was written.

        Raises:
            InputError: if one cannot be written.
        """
        from avsr.rendering import render

        written: dict[str, Path] = {}
        for output_format, path in self.paths.items():
            for face, part in _parts(result, path, self.face):
                place = _of_face(path, face)
                try:
                    write_output(place, render(part, output_format, style), RESULT)
                except OSError as error:
                    message = (
                        f"{result.path}: cannot write {place} ({error.strerror}); free space or "
                        "change -o"
                    )
                    raise InputError(message) from error
                written[f"{output_format} {face}"] = place
        for path in self.saved_lips():
            note_output(path, _LIPS)
        return written

    def saved_lips(self) -> list[Path]:
        """The videos of the mouth that are there."""
        if self.lips is None:
            return []
        return sorted(self.lips.parent.glob(f"{glob.escape(self.lips.name)}-face*.mp4"))


def _of_face(path: Path, face: str) -> Path:
    return Path(str(path).replace(FACE, face))


def _glob(path: Path) -> list[Path]:
    """Files that are there, whatever the face's number."""
    pattern = glob.escape(str(path)).replace(FACE, "[0-9]*")
    return sorted(Path(name) for name in glob.glob(pattern))


def _parts(
    result: "TranscriptionResult", path: Path, face: str
) -> "list[tuple[str, TranscriptionResult]]":
    """What goes to each file of a path: all, or each face's own."""
    faces = sorted({segment.face for segment in result.segments if segment.face is not None})
    if FACE not in str(path) or not faces:
        return [(face, result)]
    own = {
        number: tuple(one for one in result.segments if one.face in (number, None))
        for number in faces
    }
    return [
        (str(number), replace(result, segments=said, text=" ".join(one.text for one in said)))
        for number, said in own.items()
    ]


def split_formats(value: str) -> list[str]:
    """Read the value of ``--format``.

    Raises:
        UsageError: if it names an unknown format.
    """
    names = [name.strip().lower().removeprefix(".") for name in value.split(",")]
    if names == ["all"]:
        return list(FORMATS)
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format: {name!r} is not one of {', '.join(FORMATS)}, all")
    return list(dict.fromkeys(names))


def plan_results(
    files: Sequence[InputFile],
    destination: Destination,
    formats: Sequence[str],
    lips: Path | None = None,
    face: str = "1",
) -> list[ResultFiles]:
    """Where each file's results go.

    Args:
        files: the inputs.
        destination: of results.
        formats: of the results.
        lips: folder for videos of the mouth; None for none.
        face: what a path calls a face that nothing tells apart from others.

    Raises:
        UsageError: if two inputs would write one file, or several formats are asked for without a
            folder to put them in.
    """
    videos = [None if lips is None else lips / file.name.name for file in files]
    twice = [path for path, count in Counter(videos).items() if path and count > 1]
    if twice:
        raise UsageError(f"several inputs would write {twice[0]}-face1.mp4; give one at a time")
    named = name_results(files, destination, formats)
    return [
        ResultFiles(paths=paths, partial=_partial_of(paths), lips=video, face=face)
        for paths, video in zip(named, videos, strict=True)
    ]


def check_results(files: Sequence[InputFile], results: Sequence[ResultFiles]) -> None:
    """Find out before the work whether all results may be written.

    Raises:
        UsageError: if one may not.
    """
    inputs = [file.path for file in files]
    paths = [path for where in results for path in where.known]
    check_outputs(paths, RESULT, inputs=inputs)
    videos = [
        path
        for where in results
        if where.lips is not None
        for path in (where.lips.with_name(f"{where.lips.name}-face1.mp4"), *where.saved_lips())
    ]
    check_outputs(videos, _LIPS, inputs=inputs)


def _partial_of(paths: dict[str, Path]) -> Path | None:
    """A file beside the results, with a name that is never longer than a file's may be."""
    if not paths:
        return None
    first = next(iter(paths.values()))
    digest = hashlib.sha256(os.fsencode(first.with_suffix("").name)).hexdigest()[:16]
    return Path(str(first.parent).replace(FACE, "faces")) / f".avsr-{digest}.partial"


def printed(result: "TranscriptionResult", output_format: str, style: "SubtitleStyle") -> str:
    """A whole result for standard output, in the one format that is not written to a file."""
    from avsr.rendering import render

    if output_format == "json":
        return json_line(result.to_dict())
    return render(result, output_format, style).rstrip("\n")

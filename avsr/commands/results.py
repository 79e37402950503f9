"""Where results go: formats, files beside each other in one folder, standard output."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avsr.commands.messages import json_line
from avsr.errors import InputError, UsageError
from avsr.inputs import STANDARD_INPUT, InputFile
from avsr.outputs import check_outputs, note_output, write_output

if TYPE_CHECKING:
    from avsr.rendering import SubtitleStyle
    from avsr.transcription import TranscriptionResult

FORMATS = ("txt", "srt", "vtt", "tsv", "json")  # as in avsr.rendering, which is heavier
_RESULT, _LIPS = "transcript", "lips"  # purposes of files


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """The files that one input's result is written to.

    Attributes:
        paths: one for each format; empty where results are only printed.
        partial: keeps what is done of a long input until they are written.
        lips: videos of the mouth are called this and ``-face1.mp4`` and so on; None for none.
    """

    paths: dict[str, Path]
    partial: Path | None = None
    lips: Path | None = None

    @property
    def exist(self) -> bool:
        """Whether all of them are there already."""
        return bool(self.paths) and all(path.is_file() for path in self.paths.values())

    def write(self, result: "TranscriptionResult", style: "SubtitleStyle") -> None:
        """Write all of them, each whole or not at all.

        Raises:
            InputError: if one cannot be written.
        """
        from avsr.rendering import render

        for output_format, path in self.paths.items():
            try:
                write_output(path, render(result, output_format, style), _RESULT)
            except OSError as error:
                message = (
                    f"{result.path}: cannot write {path} ({error.strerror}); free space or "
                    "change -o"
                )
                raise InputError(message) from error
        for path in self.saved_lips():
            note_output(path, _LIPS)

    def saved_lips(self) -> list[Path]:
        """The videos of the mouth that are there."""
        if self.lips is None:
            return []
        return sorted(self.lips.parent.glob(f"{glob.escape(self.lips.name)}-face*.mp4"))


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
    folder: Path | None,
    formats: Sequence[str],
    lips: Path | None = None,
) -> list[ResultFiles]:
    """Where each file's results go: its stem, or its whole name where stems clash.

    Args:
        files: the inputs.
        folder: for results; None where they are only printed.
        formats: of the results.
        lips: folder for videos of the mouth; None for none.

    Raises:
        UsageError: if two inputs would write one file, or several formats are asked for without a
            folder to put them in.
    """
    videos = [None if lips is None else lips / file.name.name for file in files]
    twice = [path for path, count in Counter(videos).items() if path and count > 1]
    if twice:
        raise UsageError(f"several inputs would write {twice[0]}-face1.mp4; give one at a time")
    if folder is None:
        if len(formats) > 1:
            raise UsageError("several formats need a folder to be written to: add -o DIR")
        return [ResultFiles(paths={}, lips=video) for video in videos]
    names = [Path("stdin") if str(file.path) == STANDARD_INPUT else file.name for file in files]
    stems = Counter(name.with_suffix("") for name in names)
    stubs = [name if stems[name.with_suffix("")] > 1 else name.with_suffix("") for name in names]
    clashing = [stub for stub, count in Counter(stubs).items() if count > 1]
    if clashing:
        path = folder / f"{clashing[0]}.{formats[0]}"
        raise UsageError(f"several inputs would write {path}; give one at a time")
    return [
        ResultFiles(
            paths={name: folder / f"{stub}.{name}" for name in formats},
            partial=(folder / stub).parent / _partial_name(stub.name),
            lips=video,
        )
        for stub, video in zip(stubs, videos, strict=True)
    ]


def check_results(files: Sequence[InputFile], results: Sequence[ResultFiles]) -> None:
    """Find out before the work whether all results may be written.

    Raises:
        UsageError: if one may not.
    """
    inputs = [file.path for file in files]
    paths = [path for where in results for path in where.paths.values()]
    check_outputs(paths, _RESULT, inputs=inputs)
    videos = [
        path
        for where in results
        if where.lips is not None
        for path in (where.lips.with_name(f"{where.lips.name}-face1.mp4"), *where.saved_lips())
    ]
    check_outputs(videos, _LIPS, inputs=inputs)


def _partial_name(stem: str) -> str:
    """A name that is never longer than a file's may be."""
    return f".avsr-{hashlib.sha256(os.fsencode(stem)).hexdigest()[:16]}.partial"


def printed(result: "TranscriptionResult", output_format: str, style: "SubtitleStyle") -> str:
    """A whole result for standard output, in the one format that is not written to a file."""
    from avsr.rendering import render

    if output_format == "json":
        return json_line(result.to_dict())
    return render(result, output_format, style).rstrip("\n")

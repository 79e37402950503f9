"""Where results go: formats, files beside each other in one folder, standard output."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avsr.atomic import write_text_atomically
from avsr.errors import InputError, UsageError
from avsr.rendering import FORMATS, render

if TYPE_CHECKING:
    from avsr.inputs import InputFile
    from avsr.transcription import TranscriptionResult


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """The files that one input's result is written to.

    Attributes:
        paths: one for each format; empty where results are only printed.
        partial: keeps what is done of a long input until they are written.
    """

    paths: dict[str, Path]
    partial: Path | None = None

    @property
    def exist(self) -> bool:
        """Whether all of them are there already."""
        return bool(self.paths) and all(path.is_file() for path in self.paths.values())

    def write(self, result: "TranscriptionResult") -> None:
        """Write all of them, each whole or not at all.

        Raises:
            InputError: if one cannot be written.
        """
        for output_format, path in self.paths.items():
            try:
                write_text_atomically(path, render(result, output_format))
            except OSError as error:
                message = (
                    f"{result.path}: cannot write {path} ({error.strerror}); free space or "
                    "change -o"
                )
                raise InputError(message) from error


def split_formats(value: str) -> list[str]:
    """Read the value of ``--format``.

    Raises:
        UsageError: if it names an unknown format.
    """
    names = list(FORMATS) if value == "all" else [name.strip() for name in value.split(",")]
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format: {name!r} is not one of {', '.join(FORMATS)}, all")
    return list(dict.fromkeys(names))


def plan_results(
    files: "Sequence[InputFile]", folder: Path | None, formats: Sequence[str]
) -> list[ResultFiles]:
    """Where each file's results go: its stem, or its whole name where stems clash.

    Raises:
        UsageError: if a folder cannot be made, two inputs would write one file, or several formats
            are asked for without a folder to put them in.
    """
    if folder is None:
        if len(formats) > 1:
            raise UsageError("several formats need a folder to be written to: add -o DIR")
        return [ResultFiles(paths={}) for _ in files]
    names = [Path("stdin") if str(file.path) == "-" else file.name for file in files]
    stems = Counter(name.with_suffix("") for name in names)
    stubs = [name if stems[name.with_suffix("")] > 1 else name.with_suffix("") for name in names]
    clashing = [stub for stub, count in Counter(stubs).items() if count > 1]
    if clashing:
        path = folder / f"{clashing[0]}.{formats[0]}"
        raise UsageError(f"several inputs would write {path}; give one at a time")
    for parent in dict.fromkeys((folder / stub).parent for stub in stubs):
        make_folder(parent, f"-o {folder}")
    return [
        ResultFiles(
            paths={name: folder / f"{stub}.{name}" for name in formats},
            partial=(folder / stub).parent / f".{stub.name}.avsr-partial",
        )
        for stub in stubs
    ]


def make_folder(folder: Path, option: str) -> None:
    """Make a folder for results.

    Raises:
        UsageError: naming the option, if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: cannot make this folder ({error.strerror})") from None


def printed(result: "TranscriptionResult", formats: Sequence[str], has_files: bool) -> str:
    """What of a result goes to standard output: the text, or the one format that is not written."""
    if has_files or formats == ["txt"]:
        return result.text
    if formats == ["json"]:
        return json.dumps(result.to_dict(), ensure_ascii=False)
    return render(result, formats[0]).rstrip("\n")

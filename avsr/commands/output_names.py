"""What results are called: in a folder, beside their sources, or after a pattern with fields."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from string import Formatter

from avsr.errors import UsageError, printable
from avsr.inputs import STANDARD_INPUT, InputFile

FACE = "\0face\0"  # stands in a path for the number of a face, which the result tells
# Of the input: its name without and with its last ending, and the folder that it lies in. Its place
# in the run, from 1 on. The number of each face that speaks. The result's ending, last by itself.
_FIELDS = ("stem", "name", "folder", "number", "face", "ext")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where results go.

    Attributes:
        output: a folder, or a pattern of paths with fields in braces; None: only printed.
        next_to_source: to the folder of each input instead.
        keep_tree: below ``output``, the inputs' folders are repeated from the one that all share.
    """

    output: Path | None = None
    next_to_source: bool = False
    keep_tree: bool = False

    def __post_init__(self) -> None:
        if self.next_to_source and self.output is not None:
            raise UsageError("--output-next-to-source and -o: give one of them")
        if self.keep_tree and (self.output is None or self.is_pattern):
            raise UsageError("--keep-tree goes with -o DIR")
        if self.is_pattern:
            _check_fields(str(self.output))

    @property
    def is_pattern(self) -> bool:
        """Whether ``output`` has fields."""
        return self.output is not None and "{" in str(self.output)

    @property
    def has_files(self) -> bool:
        """Whether results are written to files."""
        return self.next_to_source or self.output is not None


def name_results(
    files: Sequence[InputFile], destination: Destination, formats: Sequence[str]
) -> list[dict[str, Path]]:
    """The file of each result, by its format; :data:`FACE` stands for what is not known yet.

    Raises:
        UsageError: if two inputs would write one file, or several formats are asked for without a
            place to put them in.
    """
    if not destination.has_files:
        if len(formats) > 1:
            raise UsageError("several formats need a folder to be written to: add -o DIR")
        return [{} for _ in files]
    if destination.is_pattern:
        named = [
            {kind: _filled(str(destination.output), file, number, kind) for kind in formats}
            for number, file in enumerate(files, start=1)
        ]
    else:
        stubs = _stubs(files, destination)
        named = [{kind: Path(f"{stub}.{kind}") for kind in formats} for stub in stubs]
    places = Counter(os.path.abspath(path) for paths in named for path in paths.values())
    for path in (path for paths in named for path in paths.values()):
        if places[os.path.abspath(path)] > 1:
            shown = printable(Path(str(path).replace(FACE, "{face}")))
            advice = (
                "add {folder}, {number} or {ext} to -o"
                if destination.is_pattern
                else "add --keep-tree, or name them by a pattern such as -o 'DIR/{number}-{stem}'"
            )
            raise UsageError(f"several results would be written to {shown}; {advice}")
    return named


def _stubs(files: Sequence[InputFile], destination: Destination) -> list[Path]:
    """Paths without the ending: of the stem, or of the whole name where stems clash."""
    if destination.next_to_source:
        if any(str(file.path) == STANDARD_INPUT for file in files):
            raise UsageError("--output-next-to-source: standard input lies nowhere; give -o DIR")
        names = [file.path for file in files]
        folder = Path()
    else:
        assert destination.output is not None
        folder = destination.output
        names = [Path("stdin") if str(file.path) == STANDARD_INPUT else file.name for file in files]
        if destination.keep_tree:
            names = _in_tree(files, names)
    stems = Counter(name.with_suffix("") for name in names)
    return [
        folder / (name if stems[name.with_suffix("")] > 1 else name.with_suffix(""))
        for name in names
    ]


def _in_tree(files: Sequence[InputFile], names: Sequence[Path]) -> list[Path]:
    """Names with the folders that inputs lie in, from the one that all share."""
    folders = [os.path.abspath(file.path.parent) for file in files]
    lying = [
        folder
        for file, folder in zip(files, folders, strict=True)
        if str(file.path) != STANDARD_INPUT
    ]
    shared = os.path.commonpath(lying) if lying else ""
    return [
        name
        if str(file.path) == STANDARD_INPUT
        else Path(os.path.relpath(folder, shared)) / file.path.name
        for file, name, folder in zip(files, names, folders, strict=True)
    ]


def _fields(pattern: str) -> list[str]:
    try:
        return [field for _, field, _, _ in Formatter().parse(pattern) if field is not None]
    except ValueError as error:
        message = "write fields as {stem}, and braces of a name twice"
        raise UsageError(f"-o {pattern}: {error}; {message}") from None


def _check_fields(pattern: str) -> None:
    """Find out whether a pattern can be filled.

    Raises:
        UsageError: naming the field that is unknown, and those that there are.
    """
    for field in _fields(pattern):
        if field not in _FIELDS:
            near = get_close_matches(field, _FIELDS, n=1)
            hint = f" (do you mean {{{near[0]}}}?)" if near else ""
            known = ", ".join(f"{{{name}}}" for name in _FIELDS)
            raise UsageError(
                f"-o {pattern}: there is no field {{{field}}}{hint}; there are {known}"
            )
    try:
        _filled(pattern, InputFile(path=Path("a.mp4"), name=Path("a.mp4")), 1, "txt")
    except ValueError as error:
        raise UsageError(f"-o {pattern}: {error}; only {{number:03}} takes a form") from None


def _filled(pattern: str, file: InputFile, number: int, kind: str) -> Path:
    is_piped = str(file.path) == STANDARD_INPUT
    path = Path("stdin") if is_piped else file.path
    values = {
        "stem": path.stem,
        "name": path.name,
        "folder": Path(os.path.abspath(path)).parent.name,
        "number": number,
        "face": FACE,
        "ext": kind,
    }
    if "ext" not in _fields(pattern):
        pattern += ".{ext}"
    return Path(pattern.format(**values))

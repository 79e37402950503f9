"""``avsr transcribe``: files in, text out; one bad file never harms the others."""

import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avsr.atomic import write_text_atomically
from avsr.commands.messages import say
from avsr.commands.options import Beam, Debug, Device, Draft, Model, print_version
from avsr.errors import AvsrError, InputError, UsageError, one_line
from avsr.timings import Timings

if TYPE_CHECKING:
    from avsr.transcription import TranscriptionResult


class ModalityOption(str, Enum):
    """What to read a file from."""

    auto = "auto"
    av = "av"
    audio = "audio"
    video = "video"


class FormatOption(str, Enum):
    """How results are written."""

    txt = "txt"
    json = "json"


def transcribe(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Video or audio files.", show_default=False)
    ],
    model: Model = "grid-tiny",
    modality: Annotated[
        ModalityOption,
        typer.Option(help="auto uses sound and lips where both are there, and says what it used."),
    ] = ModalityOption.auto,
    audio_rate: Annotated[
        int | None, typer.Option(min=1, help="Audio frames per token. Default: the finest trained.")
    ] = None,
    video_rate: Annotated[
        int | None, typer.Option(min=1, help="Video frames per token. Default: the finest trained.")
    ] = None,
    beam: Beam = None,
    draft: Draft = None,
    device: Device = "auto",
    output_format: Annotated[
        FormatOption, typer.Option("--format", "-f", help="Text, or JSON (one object a line).")
    ] = FormatOption.txt,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Also write DIR/NAME.txt or .json."),
    ] = None,
    timings: Annotated[bool, typer.Option("--timings", help="Show where the time went.")] = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Write down what is said in video or audio files.

    The text goes to standard output, everything else to standard error.
    """
    outputs = _output_paths(files, output, output_format.value)
    total = Timings()
    with total.measure("imports"):
        from avsr.hypotheses import DEFAULT_BEAMS, check_draft
        from avsr.recognizer import load  # PyTorch and transformers: seconds
    with total.measure("model"):
        recognizer = load(model, device)
    recognizer.loaded.check_request(modality.value, audio_rate, video_rate)
    read_as = recognizer.loaded.modalities if modality.value == "auto" else [modality.value]
    check_draft(recognizer.loaded, draft, read_as, beam or DEFAULT_BEAMS)
    if recognizer.loaded.note:
        say(f"note: {recognizer.loaded.note}")
    read = partial(
        recognizer.transcribe,
        modality=modality.value,
        audio_rate=audio_rate,
        video_rate=video_rate,
        draft=draft,
        **({} if beam is None else {"num_beams": beam}),
    )
    n_failed = 0
    for file, path in zip(files, outputs, strict=True):
        result = _attempt(read, file, path, output_format.value, debug)
        n_failed += result is None
        for stage, seconds in result.timings.items() if result else ():
            total.add(stage, seconds)
    if timings:
        after_imports_s = sum(total.seconds.values()) - total.seconds["imports"]
        say(f"timings: {total}; after imports {after_imports_s:.2f} s")
    if n_failed and len(files) > 1:
        say(f"{n_failed} of {len(files)} files failed; the others are done")
    return 1 if n_failed else 0


def _attempt(
    read: "Callable[[Path], TranscriptionResult]",
    file: Path,
    path: Path | None,
    output_format: str,
    debug: bool,
) -> "TranscriptionResult | None":
    """Transcribe and deliver one file; None, after saying why, where that fails."""
    started = time.perf_counter()
    try:
        result = read(file)
        if path is not None:
            _write(result, path, output_format)
    except Exception as error:  # whatever is wrong with one file, the others come next
        if debug:
            traceback.print_exception(error)
        known = isinstance(error, AvsrError)
        cause = one_line(error) if known else f"{file}: {type(error).__name__}: {one_line(error)}"
        say(f"avsr: {cause}" if known else f"avsr: {cause}; --debug shows where")
        return None
    if path is not None or output_format == "txt":
        print(result.text, flush=True)
    else:
        print(json.dumps(result.to_dict(), ensure_ascii=False), flush=True)
    _explain(result, path, time.perf_counter() - started)
    return result


def _write(result: "TranscriptionResult", path: Path, output_format: str) -> None:
    try:
        write_text_atomically(path, result.render(output_format))
    except OSError as error:
        message = f"{result.path}: cannot write {path} ({error.strerror}); free space or change -o"
        raise InputError(message) from error


def _explain(result: "TranscriptionResult", path: Path | None, seconds: float) -> None:
    """Say what a text was read from and why, and what may have harmed it."""
    how = f"{result.modality} ({result.reason}), {result.rates}"
    sure = "" if result.confidence is None else f", confidence {result.confidence:.2f}"
    empty = "" if result.text else ", no speech found"
    where = "" if path is None else f" -> {path}"
    say(f"{result.path}: {how}{sure}{empty}, {seconds:.1f} s{where}")
    for warning in result.warnings:
        say(f"{result.path}: warning: {warning}")


def _output_paths(
    files: Sequence[Path], folder: Path | None, extension: str
) -> Sequence[Path | None]:
    """Where each file's result goes: its stem, or its whole name where stems clash.

    Raises:
        UsageError: if the folder cannot be made, or two files have the same name.
    """
    if folder is None:
        return [None] * len(files)
    stems = Counter(file.stem for file in files)
    paths = [
        folder / f"{file.stem if stems[file.stem] == 1 else file.name}.{extension}"
        for file in files
    ]
    clashing = [path.name for path, count in Counter(paths).items() if count > 1]
    if clashing:
        raise UsageError(f"several inputs would write {folder / clashing[0]}; give one at a time")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"-o {folder}: cannot make this folder ({error.strerror})") from None
    return paths

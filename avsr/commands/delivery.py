"""One file of ``avsr transcribe``: read, written and reported, or its failure told."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avsr.commands.events import Events
from avsr.commands.flags import told
from avsr.commands.results import ResultFiles, printed
from avsr.errors import AvsrError, InputError
from avsr.inputs import InputFile, spooled

if TYPE_CHECKING:
    from avsr.clips.sources import Source
    from avsr.recognizer import Progress
    from avsr.rendering import SubtitleStyle
    from avsr.transcription import Segment, TranscriptionResult

Read = Callable[..., "TranscriptionResult"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one file.

    Attributes:
        path: the file.
        result: None where it failed.
        written: the files that the result was written to.
        cause: of a failure, in one line.
        trace: of a failure, where it comes from.
        seconds: what it took.
        segments: those that were told while it was read, to be told later.
    """

    path: Path
    result: "TranscriptionResult | None" = None
    written: dict[str, Path] = field(default_factory=dict)
    cause: str = ""
    trace: str = ""
    seconds: float = 0.0
    segments: "tuple[Segment, ...]" = ()


def attempt(
    read: Read,
    file: InputFile,
    where: ResultFiles,
    style: "SubtitleStyle",
    on_progress: "Callable[[Progress], None]",
    begun: "Source | None" = None,
) -> Outcome:
    """Transcribe one file and write its results; whatever is wrong with it is in the outcome.

    Args:
        read: transcribes it.
        file: the input.
        where: the files that the result is written to.
        style: of subtitles.
        on_progress: told how it goes on.
        begun: the input, where it is being read already.
    """
    started = time.perf_counter()
    path = file.path
    try:
        if file.problem is not None:
            raise InputError(f"{path}: {file.problem}")
        with spooled(file.path) as path:
            result = read(
                path if begun is None else begun,
                partial=where.partial,
                save_lips=where.lips,
                on_progress=on_progress,
            )
        result = replace(result, path=file.path)
        written = where.write(result, style)
    except Exception as error:  # whatever is wrong with one file, the others come next
        cause = told(error).replace(str(path), str(file.path))
        if not isinstance(error, AvsrError):
            cause = f"{file.path}: {type(error).__name__}: {cause}; --debug shows where"
        return Outcome(path=file.path, cause=cause, trace=traceback.format_exc())
    finally:
        if begun is not None:
            begun.close()
    seconds = time.perf_counter() - started
    return Outcome(path=file.path, result=result, written=written, seconds=seconds)


def deliver(
    outcome: Outcome, output_format: str, style: "SubtitleStyle", events: Events, debug: bool
) -> None:
    """Tell what came of a file.

    Args:
        outcome: it.
        output_format: of what is printed, where that is not the words as they come.
        style: of subtitles.
        events: what is told.
        debug: show where an error comes from.
    """
    if outcome.result is None:
        if debug:
            events.trace(outcome.trace)
        events.failure(outcome.path, outcome.cause)
        return
    rendered = "" if events.prints_words else printed(outcome.result, output_format, style)
    events.result(outcome.result, rendered, outcome.written, outcome.seconds)

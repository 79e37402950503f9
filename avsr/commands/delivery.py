"""One file of ``avsr transcribe``: read, written and reported, or its failure told."""

import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from avsr.commands.events import Events
from avsr.commands.flags import told
from avsr.commands.results import ResultFiles, printed
from avsr.errors import AvsrError, InputError
from avsr.inputs import InputFile, spooled

if TYPE_CHECKING:
    from avsr.rendering import SubtitleStyle
    from avsr.transcription import TranscriptionResult

Read = Callable[..., "TranscriptionResult"]


def deliver(
    read: Read,
    file: InputFile,
    where: ResultFiles,
    output_format: str,
    style: "SubtitleStyle",
    events: Events,
    debug: bool,
) -> "TranscriptionResult | None":
    """Transcribe and deliver one file; None, after saying why, where that fails.

    Args:
        read: transcribes it.
        file: the input.
        where: the files that the result is written to.
        output_format: of what is printed, where that is not the words as they come.
        style: of subtitles.
        events: what is told while it works.
        debug: show where an error comes from.
    """
    started = time.perf_counter()
    path = file.path
    try:
        if file.problem is not None:
            raise InputError(f"{path}: {file.problem}")
        with spooled(file.path) as path:
            result = read(
                path,
                partial=where.partial,
                save_lips=where.lips,
                on_progress=lambda progress: events.progress(file.path, progress),
            )
        result = replace(result, path=file.path)
        where.write(result, style)
    except Exception as error:  # whatever is wrong with one file, the others come next
        if debug:
            traceback.print_exception(error)
        known = isinstance(error, AvsrError)
        cause = told(error).replace(str(path), str(file.path))
        if not known:
            cause = f"{file.path}: {type(error).__name__}: {cause}; --debug shows where"
        events.failure(file.path, cause)
        return None
    rendered = "" if events.prints_words else printed(result, output_format, style)
    events.result(result, rendered, where.paths, time.perf_counter() - started)
    return result

"""Reading the first file while the model is loaded: neither waits for the other."""

from typing import TYPE_CHECKING

from avsr.commands.results import ResultFiles
from avsr.inputs import InputFile

if TYPE_CHECKING:
    from avsr.clips.sources import Source
    from avsr.recognition.request import Request


def begin_early(file: InputFile, where: ResultFiles, request: "Request") -> "Source | None":
    """Begin to read a file for a model that is not there yet.

    Args:
        file: it.
        where: the files of its result.
        request: how it is to be transcribed.

    Returns:
        It, as :meth:`avsr.recognizer.Recognizer.transcribe` takes it, to be closed if it is not
        read; None where that had to know more of it: pipes are spooled first, an interrupted run
        goes on later in the file, and mouth crops are kept from the beginning.
    """
    is_resumed = where.partial is not None and where.partial.exists()
    if file.problem is not None or not file.path.is_file() or is_resumed or where.lips is not None:
        return None
    from avsr.clips.sources import Source
    from avsr.timings import Timings

    source = Source(file.path, request.wanted(request.start or 0.0), Timings())
    source.begin()
    return source

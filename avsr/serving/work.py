"""One transcription in a thread of the line, for a client that may leave at any time."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from avsr.recognition.request import Request
from avsr.recognizer import Progress, Recognizer
from avsr.serving.limits import bounded, check_result
from avsr.serving.line import Line
from avsr.serving.refusals import ClientGone, refusal_of
from avsr.serving.settings import ServerSettings
from avsr.serving.uploads import Form
from avsr.transcription import Segment, TranscriptionResult

__all__ = ["Transcriber"]

_logger = logging.getLogger(__name__)

SaySegments = Callable[[tuple[Segment, ...]], object]


@dataclass(frozen=True, kw_only=True)
class Transcriber:
    """Transcribes what clients sent.

    Attributes:
        recognizer: shared by all threads.
        line: whose threads work.
        settings: what is refused.
    """

    recognizer: Recognizer
    line: Line
    settings: ServerSettings

    def begin(
        self,
        form: Form,
        request: Request,
        gone: threading.Event,
        on_segments: SaySegments | None = None,
    ) -> asyncio.Future[TranscriptionResult]:
        """Have a thread transcribe a form's file.

        Args:
            form: the file, which is there until this is done.
            request: how.
            gone: set by who does not want the result any more; work ends soon after.
            on_segments: called in the event loop with what was said, as it is read.

        Returns:
            The result to come; it raises :class:`Refusal` and :class:`ClientGone`.
        """
        loop = asyncio.get_running_loop()

        def report(progress: Progress) -> None:
            if gone.is_set():
                raise ClientGone
            if on_segments is not None and progress.segments:
                loop.call_soon_threadsafe(on_segments, progress.segments)

        work = asyncio.ensure_future(
            self.line.work(lambda: self._transcribe(form, request, gone, report))
        )
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # told or not
        return work

    def _transcribe(
        self,
        form: Form,
        request: Request,
        gone: threading.Event,
        report: Callable[[Progress], None],
    ) -> TranscriptionResult:
        if gone.is_set():
            raise ClientGone
        try:
            request = bounded(form.file, request, self.settings)
            result = self.recognizer.transcribe(form.file, request, on_progress=report)
            check_result(result, self.settings)
        except ClientGone:
            raise
        except Exception as error:
            if gone.is_set():  # its file too
                raise ClientGone from error
            refusal = refusal_of(error, str(form.file), form.file_name)
            if refusal.status >= 500:
                _logger.exception("a transcription failed")
            raise refusal from error
        told = tuple(text.replace(str(form.file), form.file_name) for text in result.warnings)
        return replace(result, warnings=told, path=None)

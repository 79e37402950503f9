"""What ``avsr transcribe`` tells while it works: text for people, or JSON lines for programs."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avsr.commands.messages import ProgressLine, clock, json_line, say
from avsr.errors import printable
from avsr.progress import Progress as FetchProgress
from avsr.progress import show_nothing

if TYPE_CHECKING:
    from avsr.recognizer import Progress
    from avsr.transcription import Segment, TranscriptionResult

_SECONDS_BETWEEN_LINES = 10.0  # where progress cannot be redrawn in place


class Events:
    """Reports to standard output and standard error.

    Attributes:
        prints_words: standard output gets each segment as it comes, a line for each; else it gets
            the whole result, rendered in the one format asked for, or JSON lines.
    """

    def __init__(
        self, *, formats: Sequence[str], json_lines: bool, quiet: bool, has_files: bool = False
    ) -> None:
        """Choose how to report.

        Args:
            formats: the formats asked for.
            json_lines: standard output gets JSON, a line for each event, instead of results.
            quiet: nothing but errors goes to standard error.
            has_files: the formats are written to files.
        """
        self.prints_words = not json_lines and (has_files or list(formats) == ["txt"])
        self._json_lines, self._quiet = json_lines, quiet
        self._n_shown = 0  # segments of this file
        self._place = ""  # of this file among several
        self._started = self._last = time.monotonic()
        self._is_open = False  # a progress line that awaits its end
        self._told: set[str] = set()  # what need not be said again with each result

    def note(self, message: str) -> None:
        """Say something that is good to know."""
        if not self._quiet:
            say(message)

    def tell(self, message: str) -> None:
        """Say something about all files once; results that carry it do not repeat it here."""
        self._told.add(message)
        self.note(f"note: {message}")

    def fetching(self) -> FetchProgress:
        """What shows how a download goes on."""
        return show_nothing if self._quiet else ProgressLine()

    def begin(self, file: Path, number: int = 1, n_files: int = 1) -> None:
        """File ``number`` of ``n_files`` is begun."""
        self._place = f"{number} of {n_files}: " if n_files > 1 else ""
        self._started = self._last = time.monotonic()
        self._n_shown = 0
        if self._place:
            self._show(f"{self._place}{file}", is_due=True)
        elif sys.stderr.isatty():
            self._show(str(file))

    def progress(self, file: Path, progress: "Progress") -> None:
        """Show what was said since the last report and how far a file has come.

        That is with the real-time factor and the time left.
        """
        self._tell_words(file, progress.segments)
        if progress.resumed_s and progress.done_s == progress.resumed_s:
            self.note(f"{file}: goes on at {clock(progress.resumed_s)}, where it was interrupted")
            return
        now = time.monotonic()
        done_s = progress.done_s - progress.resumed_s
        factor = (now - self._started) / done_s if done_s > 0 else 0.0
        text = f"{self._place}{file}: {clock(progress.done_s)}"
        if progress.total_s:
            left_s = max(0.0, progress.total_s - progress.done_s) * factor
            text += f" of {clock(progress.total_s)}, {clock(left_s)} left"
        text += f", real-time factor {factor:.2f}"
        self._show(text, is_due=now - self._last >= _SECONDS_BETWEEN_LINES)

    def files(self, done: int, n_files: int) -> None:
        """Of several files that are read at once, so many are done."""
        self._show(f"files read: {done}/{n_files}", is_due=True)

    def words(self, file: Path, segments: "Sequence[Segment]") -> None:
        """Tell what was said in a file that was read beside others."""
        self._n_shown = 0
        self._tell_words(file, segments)

    def trace(self, lines: str) -> None:
        """Show where an error comes from."""
        self._end_line()
        print(lines, end="", file=sys.stderr, flush=True)

    def _tell_words(self, file: Path, segments: "Sequence[Segment]") -> None:
        for segment in segments:
            if self._json_lines:
                self._print({"event": "segment", "file": printable(file), **segment.to_dict()})
            elif self.prints_words:
                self._show_words(segment)
        self._n_shown += len(segments)

    def _show(self, text: str, is_due: bool = False) -> None:
        """Show a state: redrawn in place on a terminal, else as a line where one is due."""
        if self._quiet:
            return
        if sys.stderr.isatty():
            columns = shutil.get_terminal_size().columns
            if len(text) >= columns:  # what wraps cannot be redrawn: the end tells more
                text = f"...{text[len(text) - columns + 4 :]}"
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            self._is_open = True
        elif is_due:
            self._last = time.monotonic()
            say(text)

    def failure(self, file: Path, cause: str) -> None:
        """Tell that a file could not be transcribed."""
        self._end_line()
        say(f"avsr: {cause}")
        if self._json_lines:
            self._print({"event": "error", "file": printable(file), "message": cause})

    def result(
        self,
        result: "TranscriptionResult",
        rendered: str,
        paths: Mapping[str, Path],
        seconds: float,
    ) -> None:
        """Deliver a result, with what it was read from, why, and what may have harmed it.

        Args:
            result: it.
            rendered: it in the format asked for, where that goes to standard output.
            paths: the files that it was written to.
            seconds: what it took.
        """
        self._end_line()
        if self._json_lines:
            self._print({"event": "result", **result.to_dict()})
        elif not self.prints_words:
            print(rendered, flush=True)
        elif not result.segments:
            print(flush=True)  # a line for each file at least
        elif not self._n_shown:  # everybody's words come together, at the end
            for segment in result.segments:
                self._show_words(segment, is_labelled=segment.face is not None)
        how = f"{result.modality} ({result.reason})"
        rates = f", {result.rates.in_words}" if result.rates.in_words else ""
        sure = "" if result.confidence is None else f", confidence {result.confidence:.2f}"
        empty = "" if result.text else ", no speech found"
        where = f" -> {', '.join(map(str, paths.values()))}" if paths else ""
        self.note(f"{result.path}: {how}{rates}{sure}{empty}, {seconds:.1f} s{where}")
        for warning in result.warnings:
            if warning not in self._told:
                self.note(f"{result.path}: warning: {warning}")

    def _show_words(self, segment: "Segment", is_labelled: bool = False) -> None:
        """Print a line for a segment: its words, on a terminal with their times."""
        self._end_line()
        text = f"face {segment.face}: {segment.text}" if is_labelled else segment.text
        if sys.stdout.isatty():
            start, end = segment.span
            text = f"[{_time(start)} -> {_time(end)}] {text}"
        print(text, flush=True)

    def _print(self, values: dict[str, Any]) -> None:
        print(json_line(values), flush=True)

    def _end_line(self) -> None:
        if self._is_open:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._is_open = False


def _time(seconds: float) -> str:
    """When something was said, to a tenth of a second: 00:12.3, 1:02:03.4."""
    tenths = max(0, round(10 * seconds))
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock_time = f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{clock_time}" if hours else clock_time

"""What ``avsr transcribe`` tells while it works: text for people, or JSON lines for programs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avsr.commands.messages import clock, json_line, say
from avsr.commands.progress import ProgressDisplay
from avsr.errors import printable
from avsr.progress import Progress as FetchProgress
from avsr.progress import show_nothing

if TYPE_CHECKING:
    from avsr.recognizer import Progress
    from avsr.transcription import Segment, TranscriptionResult


class Events:
    """Reports to standard output and standard error.

    Attributes:
        prints_words: standard output gets each segment as it comes, a line for each; else it gets
            the whole result, rendered in the one format asked for, or JSON lines.
        names_files: results go to files, or say which file they are of.
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
        self.names_files = has_files or json_lines
        self._json_lines, self._quiet = json_lines, quiet
        self._n_shown = 0  # segments of this file
        self._place = ""  # of this file among several
        self._display = ProgressDisplay()
        self._told: set[str] = set()  # what need not be said again with each result

    def note(self, message: str) -> None:
        """Say something that is good to know."""
        if not self._quiet:
            with self._display.hidden():
                say(message)

    def tell(self, message: str) -> None:
        """Say something about all files once; results that carry it do not repeat it here."""
        self._told.add(message)
        self.note(f"note: {message}")

    def fetching(self) -> FetchProgress:
        """What shows how a download goes on."""
        return show_nothing if self._quiet else self._display

    def loading(self) -> None:
        """Libraries and the model are being loaded."""
        if not self._quiet:
            self._display.waiting("loading the model")

    def begin(self, file: Path, number: int = 1, n_files: int = 1) -> None:
        """File ``number`` of ``n_files`` is begun."""
        self._place = f"{number} of {n_files}: " if n_files > 1 else ""
        self._n_shown = 0
        if self._quiet:
            return
        self._display.close()
        if sys.stderr.isatty():
            self._display.seconds(f"{self._place}{file.name}", 0.0, None)
        elif self._place:
            say(f"{self._place}{file}")

    def progress(self, file: Path, progress: "Progress") -> None:
        """Show what was said since the last report and how far a file has come.

        That is with the real-time factor and the time left.
        """
        self._tell_words(file, progress.segments)
        if progress.resumed_s and progress.done_s == progress.resumed_s:
            self.note(f"{file}: goes on at {clock(progress.resumed_s)}, where it was interrupted")
            return
        if not self._quiet:
            done_s = progress.done_s
            self._display.seconds(f"{self._place}{file.name}", done_s, progress.total_s)

    def files(self, done: int, n_files: int) -> None:
        """Of several files that are read at once, so many are done."""
        self.fetching()("files read", done, n_files)

    def words(self, file: Path, segments: "Sequence[Segment]") -> None:
        """Tell what was said in a file that was read beside others."""
        self._n_shown = 0
        self._tell_words(file, segments)

    def trace(self, lines: str) -> None:
        """Show where an error comes from."""
        self._display.close()
        print(lines, end="", file=sys.stderr, flush=True)

    def _tell_words(self, file: Path, segments: "Sequence[Segment]") -> None:
        for segment in segments:
            if self._json_lines:
                self._print({"event": "segment", "file": printable(file), **segment.to_dict()})
            elif self.prints_words:
                self._show_words(segment)
        self._n_shown += len(segments)

    def failure(self, file: Path, cause: str) -> None:
        """Tell that a file could not be transcribed."""
        self._display.close()
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
        self._display.close()
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
        if result.face is not None and result.face.n_frames and not result.face.coverage:
            self.note(f"{result.path}: a face that is small in it is found with --roi X,Y,W,H")
        for warning in result.warnings:
            if warning not in self._told:
                self.note(f"{result.path}: warning: {warning}")

    def _show_words(self, segment: "Segment", is_labelled: bool = False) -> None:
        """Print a line for a segment: its words, on a terminal with their times."""
        text = f"face {segment.face}: {segment.text}" if is_labelled else segment.text
        if sys.stdout.isatty():
            start, end = segment.span
            text = f"[{_time(start)} -> {_time(end)}] {text}"
        with self._display.hidden():
            print(text, flush=True)

    def _print(self, values: dict[str, Any]) -> None:
        print(json_line(values), flush=True)


def _time(seconds: float) -> str:
    """When something was said, to a tenth of a second: 00:12.3, 1:02:03.4."""
    tenths = max(0, round(10 * seconds))
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock_time = f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{clock_time}" if hours else clock_time

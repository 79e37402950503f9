"""What ``avsr live`` shows: sentences as they grow, JSON lines, and a growing subtitle file."""

import shutil
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from avsr.commands.messages import json_line, say
from avsr.errors import InputError
from avsr.live.events import live_events
from avsr.outputs import check_outputs, note_output

if TYPE_CHECKING:
    from avsr.live.stream import LiveUpdate
    from avsr.route import Route
    from avsr.transcription import Word

_DIM, _PLAIN = "\033[2m", "\033[0m"
_PURPOSE = "transcript"


class LiveCaptions:
    """Takes the updates of a live stream; use it in a ``with`` statement."""

    def __init__(
        self, route: "Route", *, json_lines: bool, quiet: bool, vtt: Path | None = None
    ) -> None:
        """Choose how to show them.

        Args:
            route: of the model, for the subtitle file.
            json_lines: standard output gets JSON, a line for each event, instead of text.
            quiet: nothing but errors goes to standard error.
            vtt: a subtitle file that grows by each sentence.

        Raises:
            UsageError: if that file may not be written.
            InputError: if it cannot be.
        """
        self._route, self._json_lines, self._quiet = route, json_lines, quiet
        self._redraws = sys.stdout.isatty() and not json_lines
        self._sentence: list[Word] = []
        self._path, self._file = vtt, _opened(vtt)

    def show(self, update: "LiveUpdate") -> None:
        """Show what is new."""
        if update.level_changed and not self._quiet:
            self._tell_level(update)
        if self._json_lines:
            for event in live_events(update):
                print(json_line(event), flush=True)
        self._sentence += update.committed
        guess = " ".join(word.word for word in update.guess)
        text = " ".join(word.word for word in self._sentence)
        if self._redraws:
            self._draw(text, guess, ends=update.sentence_ends and bool(text))
        elif update.sentence_ends and text and not self._json_lines:
            print(text, flush=True)
        if update.sentence_ends:
            self._write_cues()
            self._sentence = []

    def close(self) -> None:
        """Finish the subtitle file."""
        if self._file is not None and self._path is not None:
            self._file.close()
            note_output(self._path, _PURPOSE)

    def __enter__(self) -> "LiveCaptions":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _draw(self, text: str, guess: str, ends: bool) -> None:
        columns = shutil.get_terminal_size().columns - 1
        if ends:
            print(f"\r\033[K{text}", flush=True)
            return
        guess = guess[-columns:]
        left = columns - len(guess) - 1
        shown = text if len(text) <= left else text[len(text) - max(0, left) :]
        print(f"\r\033[K{shown} {_DIM}{guess}{_PLAIN}", end="", flush=True)

    def _tell_level(self, update: "LiveUpdate") -> None:
        if self._redraws:
            print("\r\033[K", end="", flush=True)
        say(f"keeping up with {update.level}")

    def _write_cues(self) -> None:
        if self._file is None or not self._sentence:
            return
        from avsr.rendering import render
        from avsr.transcription import Segment, TranscriptionResult

        text = " ".join(word.word for word in self._sentence)
        start, end = self._sentence[0].start, self._sentence[-1].end
        words = tuple(self._sentence)
        segment = Segment(start=start, end=end, text=text, avg_logprob=0.0, words=words)
        result = TranscriptionResult(
            text=text, segments=(segment,), route=self._route, reason="", duration_s=end
        )
        self._file.write(render(result, "vtt").removeprefix("WEBVTT\n"))
        self._file.flush()


def _opened(path: Path | None) -> IO[str] | None:
    if path is None:
        return None
    check_outputs([path], _PURPOSE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); change --vtt") from error
    file.write("WEBVTT\n")
    file.flush()
    return file

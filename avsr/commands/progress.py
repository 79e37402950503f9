"""How far long work is, on standard error: a bar on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avsr.commands.messages import clock, say

_SECONDS_BETWEEN_LINES = 10.0  # where progress cannot be redrawn in place
_DRAWN_PER_S = 4.0
_open: "list[ProgressDisplay]" = []  # the one whose bar is on the terminal


class ProgressDisplay:
    """Shows share, rate and time left; takes what :data:`avsr.progress.Progress` is told.

    The rate counts from the first item that is done, so that what comes before it (loading,
    warming up) does not spoil the estimate.
    """

    def __init__(self) -> None:
        self._stage = ""
        self._started = self._last_line = time.monotonic()
        self._first: tuple[float, float] | None = None  # when the first item was done; how many
        self._begun_with = 0.0
        self._bar: Any = None
        self._shown: tuple[str, float, float | None, str] | None = None

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Show that ``done`` of ``total`` items of a stage are finished."""
        rate = self._rate(stage, done)
        counts = f"{done:.0f}/{total:.0f}"
        speed = ""
        if rate is not None and done < total:
            per_s = f"{rate:.1f}" if rate >= 1 else f"{rate:.2f}"
            speed = f"{per_s}/s, {clock((total - done) / rate)} left"
        if total and done >= total:
            self.close()
            say(f"{stage}: {counts}, {clock(time.monotonic() - self._started)}")
        else:
            self._show(stage, done, total, counts, speed)

    def waiting(self, what: str) -> None:
        """Show on a terminal that something goes on of which nobody knows how long it takes."""
        self._rate(what, 0)
        if sys.stderr.isatty():
            self._draw(what, 0, None, "")

    def seconds(self, name: str, done_s: float, total_s: float | None) -> None:
        """Show how many seconds of a recording are read.

        Args:
            name: of the recording.
            done_s: seconds that are read.
            total_s: seconds in all; None where nobody knows.
        """
        rate = self._rate(name, done_s)
        counts = clock(done_s) + (f" of {clock(total_s)}" if total_s else "")
        speed = "" if rate is None else f"real-time factor {1 / rate:.2f}"
        if rate is not None and total_s:
            speed = f"{clock(max(0.0, total_s - done_s) / rate)} left, {speed}"
        self._show(name, done_s, total_s, counts, speed)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Clear the bar while something is written to the terminal."""
        was = self._shown
        self.close()
        yield
        if was is not None:
            self._draw(*was)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            _open.clear()
        self._shown = None

    def _rate(self, stage: str, done: float) -> float | None:
        """Items a second; None where that is not known yet."""
        now = time.monotonic()
        name = stage.partition(":")[0]
        if name != self._stage:
            self.close()
            self._stage, self._started, self._begun_with = name, now, done
            self._first = None
        if done <= self._begun_with:
            return None
        if self._first is None:
            self._first = (now, done)
        first_at, first_done = self._first
        if done > first_done and now > first_at:
            return (done - first_done) / (now - first_at)
        return (done - self._begun_with) / (now - self._started) if now > self._started else None

    def _show(self, stage: str, done: float, total: float | None, counts: str, speed: str) -> None:
        facts = ", ".join(part for part in (counts, speed) if part)
        if sys.stderr.isatty():
            self._draw(stage, done, total, facts)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            share = f" ({done / total:.0%})" if total else ""
            say(f"{stage}{share}: {facts}")

    def _draw(self, stage: str, done: float, total: float | None, facts: str) -> None:
        self._shown = (stage, done, total, facts)
        share = f"{min(1.0, done / total):.0%}" if total else ""
        values: Any = {"description": stage, "completed": done, "total": total or None}
        values["share"] = share
        if self._bar is None:
            if _open:
                _open[0].close()
            self._bar = _new_bar()
            self._bar.add_task(start=True, facts=facts, **values)
            self._bar.start()
            self._bar.live.console.show_cursor(True)  # nobody shows it again after a kill
            _open[:] = [self]
        else:
            self._bar.update(self._bar.task_ids[0], facts=facts, refresh=True, **values)


def close_progress() -> None:
    """Take a bar off the terminal that an error has left there."""
    if _open:
        _open[0].close()


def _new_bar() -> Any:
    """One line that fits the terminal: what is too long in the name is left out."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
    from rich.table import Column

    def text(form: str, **column: Any) -> TextColumn:
        return TextColumn(form, markup=False, table_column=Column(no_wrap=True, **column))

    return Progress(
        SpinnerColumn(),
        text("{task.description}", overflow="ellipsis", ratio=1),
        BarColumn(bar_width=12),
        text("{task.fields[share]:>4}"),
        text("{task.fields[facts]}", overflow="ellipsis"),
        console=Console(file=sys.stderr, highlight=False, force_terminal=True),
        transient=True,
        redirect_stdout=False,  # its lines are for another reader
        refresh_per_second=_DRAWN_PER_S,
        expand=False,
    )

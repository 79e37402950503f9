"""Several files read at once, each by a process with the model, of this machine or a cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from avsr.commands.delivery import Outcome, attempt
from avsr.commands.quick_start import import_sparingly, without_collection
from avsr.commands.results import RESULT, ResultFiles
from avsr.errors import ModelUnavailableError
from avsr.inputs import InputFile
from avsr.memory import release_memory
from avsr.outputs import note_output
from avsr.progress import Progress, Say, say_nothing, show_nothing
from avsr.workers import Workers

if TYPE_CHECKING:
    from avsr.recognition.request import Request
    from avsr.recognizer import Recognizer
    from avsr.rendering import SubtitleStyle
    from avsr.transcription import Segment


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What a process needs to load the model.

    Attributes:
        model: a bundled name, a folder, or a hub id.
        device: as :func:`avsr.recognizer.load` takes it.
        dtype: as :func:`avsr.recognizer.load` takes it.
        offline: never download.
        allow_untrained_rate: let rates be asked for that the model was not trained at.
        threads: CPU threads; None is PyTorch's choice.
    """

    model: str
    device: str
    dtype: str
    offline: bool
    allow_untrained_rate: bool
    threads: int | None

    def load(self, say: Say, progress: Progress = show_nothing) -> "Recognizer":
        """Load it.

        Raises:
            ModelUnavailableError: if that cannot be done.
        """
        import torch

        from avsr.recognizer import load  # transformers: seconds

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return load(
            self.model,
            self.device,
            dtype=self.dtype,
            offline=self.offline,
            allow_untrained_rate=self.allow_untrained_rate,
            say=say,
            progress=progress,
        )


@dataclass(frozen=True, kw_only=True)
class _Task:
    number: int
    file: InputFile
    where: ResultFiles


class _Reading:
    """What a worker keeps; it loads the model."""

    def __init__(
        self, engine: Engine, model: str, request: "Request", style: "SubtitleStyle"
    ) -> None:
        self._engine, self._model = engine, model
        self._request, self._style = request, style
        self._recognizer: Recognizer | None = None

    def __call__(self, task: _Task) -> Outcome:
        said: list[Segment] = []
        outcome = attempt(
            partial(self._loaded().transcribe, request=self._request),
            task.file,
            task.where,
            self._style,
            lambda progress: said.extend(progress.segments),
        )
        release_memory()
        return replace(outcome, segments=tuple(said))

    def _loaded(self) -> "Recognizer":
        if self._recognizer is None:
            with without_collection():
                import_sparingly()
                self._recognizer = self._engine.load(say=say_nothing)
            name = self._recognizer.loaded.name
            if name != self._model:  # where nodes of a cluster have other defaults
                message = f"reads with {name} here, and with {self._model} where the run began"
                raise ModelUnavailableError(message, settings=("model",))
        return self._recognizer


def read_elsewhere(
    engine: Engine,
    model: str,
    request: "Request",
    style: "SubtitleStyle",
    files: Sequence[tuple[InputFile, ResultFiles]],
    workers: Workers,
    told: Callable[[int], None],
) -> Iterator[tuple[int, Outcome]]:
    """Transcribe files in several processes, each with the model.

    Args:
        engine: the model.
        model: its name, as this process found it.
        request: how to transcribe.
        style: of subtitles.
        files: the inputs with their results' files, which are written as soon as they are ready.
        workers: who does it.
        told: told how many files are done.

    Yields:
        The place of a file in ``files``, and what came of it, in the order of completion.
    """
    tasks = [_Task(number=n, file=file, where=where) for n, (file, where) in enumerate(files)]
    work = _Reading(engine, model, request, style)
    for n_done, (task, outcome) in enumerate(workers.run(work, tasks), start=1):
        told(n_done)
        if outcome is None:
            message = "ended the process that read it (a crash, or no memory left); fewer --jobs"
            outcome = Outcome(path=task.file.path, cause=f"{task.file.path}: {message} may do")
        for path in outcome.written.values():
            note_output(path, RESULT)  # in our own state folder, whoever wrote it
        yield task.number, outcome


def in_order(outcomes: Iterable[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """Outcomes in the order of the files."""
    ready: dict[int, Outcome] = {}
    n_told = 0
    for number, outcome in outcomes:
        ready[number] = outcome
        while n_told in ready:
            yield ready.pop(n_told)
            n_told += 1

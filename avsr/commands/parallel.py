"""Several files read at once, each by a process with the model; told in their order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from avsr.commands.delivery import Outcome, attempt
from avsr.commands.quick_start import import_sparingly
from avsr.commands.results import ResultFiles
from avsr.inputs import InputFile
from avsr.memory import release_memory
from avsr.progress import Progress, Say, say_nothing, show_nothing
from avsr.worker_pool import run_tasks

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
    engine: Engine
    request: "Request"
    style: "SubtitleStyle"


def read_in_processes(
    engine: Engine,
    request: "Request",
    style: "SubtitleStyle",
    files: Sequence[tuple[InputFile, ResultFiles]],
    n_processes: int,
    told: Callable[[int], None],
) -> Iterator[Outcome]:
    """Transcribe files in several processes.

    Args:
        engine: the model.
        request: how to transcribe.
        style: of subtitles.
        files: the inputs with their results' files, which are written as soon as they are ready.
        n_processes: each loads the model.
        told: told how many files are done, in whatever order.

    Yields:
        What came of each, in the order of ``files``.
    """
    tasks = [
        _Task(number=n, file=file, where=where, engine=engine, request=request, style=style)
        for n, (file, where) in enumerate(files)
    ]
    ready: dict[int, Outcome] = {}
    n_told = 0
    for n_done, (task, outcome) in enumerate(run_tasks(_work, tasks, n_processes), start=1):
        told(n_done)
        if outcome is None:
            message = "ended the process that read it (a crash, or no memory left); fewer --jobs"
            outcome = Outcome(path=task.file.path, cause=f"{task.file.path}: {message} may do")
        ready[task.number] = outcome
        while n_told in ready:
            yield ready.pop(n_told)
            n_told += 1


def _work(task: _Task) -> Outcome:
    said: list[Segment] = []
    recognizer = _recognizer(task.engine)
    outcome = attempt(
        partial(recognizer.transcribe, request=task.request),
        task.file,
        task.where,
        task.style,
        lambda progress: said.extend(progress.segments),
    )
    release_memory()
    return replace(outcome, segments=tuple(said))


@lru_cache(maxsize=1)
def _recognizer(engine: Engine) -> "Recognizer":
    import_sparingly()
    return engine.load(say=say_nothing)

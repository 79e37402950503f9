"""``avsr sinks``: attention sinks of the language model while it reads files."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avsr.commands.flags import told
from avsr.commands.messages import say
from avsr.commands.options import Debug, Device, FileModality, Model, Offline, print_version
from avsr.commands.progress import ProgressDisplay
from avsr.errors import InputError, UsageError
from avsr.outputs import check_folder, check_outputs, note_output, write_output

if TYPE_CHECKING:
    from avsr.sinks import PieceAnalysis, SinkSettings

_DEFAULT_FACTOR, _DEFAULT_COVERAGE, _DEFAULT_MASSIVE = 5.0, 0.5, 1000.0


_PURPOSE = "sinks"
_RESULTS, _REPORT = "sinks.json", "report.html"


def sinks(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Video or audio files; texts for --language-model."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for all that is made.")
    ],
    model: Model = "auto",
    language_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="Instead of a model: any causal language model of transformers, reading texts.",
        ),
    ] = None,
    base: Annotated[
        bool,
        typer.Option("--base", help="Also analyse the language model before its fine-tuning."),
    ] = False,
    modality: Annotated[
        FileModality,
        typer.Option(help="What to read; auto: sound and lips where both are there."),
    ] = "auto",
    audio_rate: Annotated[
        int | None, typer.Option(min=1, help="Audio frames per token. Default: the finest trained.")
    ] = None,
    video_rate: Annotated[
        int | None, typer.Option(min=1, help="Video frames per token. Default: the finest trained.")
    ] = None,
    factor: Annotated[
        float, typer.Option(min=1.0, help="Attention counts as high from so many equal shares on.")
    ] = _DEFAULT_FACTOR,
    coverage: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of later tokens that make a sink.")
    ] = _DEFAULT_COVERAGE,
    massive: Annotated[
        float, typer.Option(min=1.0, help="Activations are massive from so many medians on.")
    ] = _DEFAULT_MASSIVE,
    maps: Annotated[
        bool, typer.Option("--maps/--no-maps", help="Token-by-token maps; memory grows with them.")
    ] = True,
    device: Device = "auto",
    offline: Offline = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Find attention sinks and massive activations; write figures, a report and sinks.json.

    One line for each input goes to standard output.
    """
    stems = _stems(inputs)
    _check_outputs(inputs, stems, output)
    progress = ProgressDisplay()
    progress.waiting("loading libraries")
    from avsr.sinks import SinkSettings  # PyTorch and transformers: seconds
    from avsr.sinks.figures import save_figures
    from avsr.sinks.page import report_page
    from avsr.sinks.results import to_dict

    settings = SinkSettings(factor=factor, coverage=coverage, massive=massive, maps=maps)
    if language_model is not None:
        name, analyse = _of_text(language_model, device, offline, settings, base)
    else:
        rates = {"audio_rate": audio_rate, "video_rate": video_rate}
        name, analyse = _of_clips(model, device, progress, settings, base, modality, rates)
    pieces: list[PieceAnalysis] = []
    figures: list[dict[str, Path]] = []
    n_failed = 0
    for done, (path, stem) in enumerate(zip(inputs, stems, strict=True)):
        progress("analysing", done, len(inputs))
        try:
            found = analyse(path)
        except InputError as error:
            say(f"avsr: {told(error)}")
            n_failed += 1
            continue
        for number, piece in enumerate(found, start=1):
            own_stem = stem if len(found) == 1 else f"{stem}-{number}"
            figures.append(save_figures(piece, output, own_stem))
            for figure in figures[-1].values():
                note_output(figure, _PURPOSE)
            with progress.hidden():
                print(f"{path}: {_summary(piece)}", flush=True)
        pieces += found
    progress("analysing", len(inputs), len(inputs))
    if pieces:
        results = to_dict(pieces, name)
        write_output(output / _RESULTS, json.dumps(results, indent=1) + "\n", _PURPOSE)
        page = report_page(pieces, figures, name)
        write_output(output / _REPORT, page, _PURPOSE)
        say(f"report: {output / _REPORT}")
    return 1 if n_failed else 0


def _of_clips(
    model: str,
    device: str,
    progress: ProgressDisplay,
    settings: "SinkSettings",
    base: bool,
    modality: str,
    rates: dict[str, int | None],
) -> tuple[str, Callable[[Path], "list[PieceAnalysis]"]]:
    """The model's name, and how it analyses a file."""
    from avsr.pretrained import load_model
    from avsr.sinks import analyse_clip

    loaded = load_model(model, device, say=say, progress=progress)

    def analyse(path: Path) -> "list[PieceAnalysis]":
        return analyse_clip(
            loaded,
            path,
            modality=modality,  # pyright: ignore[reportArgumentType] one that typer let pass
            settings=settings,
            with_base=base,
            **rates,
        )

    return loaded.name, analyse


def _of_text(
    named: str, device: str, offline: bool, settings: "SinkSettings", base: bool
) -> tuple[str, Callable[[Path], "list[PieceAnalysis]"]]:
    """The language model's name, and how it analyses a text.

    Raises:
        UsageError: it cannot be loaded, or its fine-tuning is asked for.
    """
    from avsr.pretrained import choose_device
    from avsr.sinks import analyse_text
    from avsr.sinks.language_model import load_language_model

    if base:
        raise UsageError("--base is for models that were fine-tuned: leave out --language-model")
    language_model, tokenizer = load_language_model(named, offline=offline)
    language_model.to(choose_device(device))

    def analyse(path: Path) -> "list[PieceAnalysis]":
        return [analyse_text(language_model, tokenizer, path, settings)]

    return Path(named).name, analyse


def _check_outputs(inputs: Sequence[Path], stems: Sequence[str], folder: Path) -> None:
    """Find out before the work whether everything may be written.

    Raises:
        UsageError: if something may not.
    """
    check_folder(folder)
    figure = re.compile(rf"({'|'.join(map(re.escape, stems))})(-\d+)?-[a-z-]+\.png")
    there = [path for path in sorted(folder.iterdir()) if figure.fullmatch(path.name)]
    outputs = [folder / _RESULTS, folder / _REPORT, *there]
    check_outputs(outputs, _PURPOSE, inputs=inputs)


def _summary(piece: "PieceAnalysis") -> str:
    analysis = piece.analysis
    names = ", ".join(f"{sink.label.name} ({sink.index})" for sink in analysis.sinks)
    return (
        f"{names or 'no sinks'}; largest activation {analysis.peaks[1:].max():.0f} x median; "
        f"{len(analysis.labels)} tokens"
    )


def _stems(inputs: Sequence[Path]) -> list[str]:
    """The name of each input's figures: its stem, or its whole name where stems clash.

    Raises:
        UsageError: two inputs have the same name.
    """
    counts = Counter(path.stem for path in inputs)
    stems = [path.stem if counts[path.stem] == 1 else path.name for path in inputs]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem, count in Counter(stems).items() if count > 1)
        raise UsageError(f"two inputs are called {twice}; give one at a time")
    return stems

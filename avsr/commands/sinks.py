"""``avsr sinks``: attention sinks of the language model while it reads files."""

import json
import re
from collections import Counter
from collections.abc import Sequence
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
    from avsr.sinks import ClipAnalysis

_DEFAULT_FACTOR, _DEFAULT_COVERAGE, _DEFAULT_MASSIVE = 5.0, 0.5, 1000.0


_PURPOSE = "sinks"
_RESULTS, _REPORT = "sinks.json", "report.html"


def sinks(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Video or audio files.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for all that is made.")
    ],
    model: Model = "auto",
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
    from avsr.pretrained import load_model  # PyTorch and transformers: seconds
    from avsr.sinks import SinkSettings, analyse_clip
    from avsr.sinks.figures import save_figures
    from avsr.sinks.page import report_page
    from avsr.sinks.results import to_dict

    loaded = load_model(model, device, say=say, progress=progress)
    settings = SinkSettings(factor=factor, coverage=coverage, massive=massive, maps=maps)
    pieces: list[ClipAnalysis] = []
    figures: list[dict[str, Path]] = []
    n_failed = 0
    for done, (path, stem) in enumerate(zip(inputs, stems, strict=True)):
        progress("analysing", done, len(inputs))
        try:
            found = analyse_clip(
                loaded,
                path,
                modality=modality,
                audio_rate=audio_rate,
                video_rate=video_rate,
                settings=settings,
            )
        except InputError as error:
            say(f"avsr: {told(error)}")
            n_failed += 1
            continue
        for number, piece in enumerate(found, start=1):
            name = stem if len(found) == 1 else f"{stem}-{number}"
            figures.append(save_figures(piece, output, name))
            for figure in figures[-1].values():
                note_output(figure, _PURPOSE)
            with progress.hidden():
                print(f"{path}: {_summary(piece)}", flush=True)
        pieces += found
    progress("analysing", len(inputs), len(inputs))
    if pieces:
        results = to_dict(pieces, loaded.name)
        write_output(output / _RESULTS, json.dumps(results, indent=1) + "\n", _PURPOSE)
        page = report_page(pieces, figures, loaded.name)
        write_output(output / _REPORT, page, _PURPOSE)
        say(f"report: {output / _REPORT}")
    return 1 if n_failed else 0


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


def _summary(piece: "ClipAnalysis") -> str:
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

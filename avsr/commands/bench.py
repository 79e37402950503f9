"""``avsr bench``: where the time goes, and how much faster than the published procedure."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from avsr.commands.messages import clock, say
from avsr.commands.options import (
    Debug,
    Device,
    Model,
    Offline,
    print_version,
    split_choices,
    split_list,
    split_rates,
)
from avsr.commands.progress import ProgressDisplay
from avsr.errors import SettingError, UsageError
from avsr.outputs import check_outputs, note_output, write_output

if TYPE_CHECKING:
    from avsr.benchmark.clips import BenchClip
    from avsr.pretrained import LoadedModel
    from avsr.route import Route


_PURPOSE = "speed"
_PLOTS = ("latency.png", "throughput.png")


def bench(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Clips with sound and a face. Default: noise."),
    ] = None,
    model: Model = "auto",
    random: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="In place of a model: random weights, such as "
            "llama-3.2-1b,whisper-medium,avhubert-large.",
        ),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="With --random: only so many layers of every part.")
    ] = None,
    padded: Annotated[
        bool, typer.Option("--padded", help="With --random: encode sound padded to 30 s.")
    ] = False,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="auto: what is quick; random, float32."),
    ] = "auto",
    seconds: Annotated[str, typer.Option(help="List of lengths of noise clips.")] = "3,10,30",
    clips: Annotated[
        str | None,
        typer.Option(help="List of clips read together. Default: 1,8,32; all of FILE..."),
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="List of av, audio, video. Default: all trained.")
    ] = None,
    audio_rate: Annotated[
        str | None, typer.Option(help="List of audio rates. Default: all trained.")
    ] = None,
    video_rate: Annotated[
        str | None, typer.Option(help="List of video rates. Default: all trained.")
    ] = None,
    beam: Annotated[str, typer.Option(help="List of beams; 1 is greedy.")] = "1,5",
    draft: Annotated[
        Literal["ctc"] | None,
        typer.Option(help="ctc: also measure verifying what a CTC head proposes."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Bound on tokens. Default: by duration; with --random, 32."),
    ] = None,
    reference: Annotated[
        bool,
        typer.Option(
            "--reference", help="Compare with the published procedure on the same weights."
        ),
    ] = False,
    repeats: Annotated[
        int, typer.Option(min=1, help="Runs whose median counts; of noise with --reference, pairs.")
    ] = 3,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: PyTorch's choice.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write results as JSON.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write latency.png and throughput.png here.")
    ] = None,
    device: Device = "auto",
    offline: Offline = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Measure the speed of a model on this machine.

    Without --reference: seconds, operations and memory of every stage, for every length, batch,
    modality, pair of rates and search. With it: the whole reading of clips by all modalities and
    rates, against the published procedure (one clip at a time, the prompt repeated for every beam,
    nothing shared between tasks and rates), in pairs on the same weights. A table goes to standard
    output.
    """
    lengths = [_number(item, "--seconds") for item in split_list(seconds, "--seconds")]
    batches = [round(_number(n, "--clips")) for n in split_list(clips or "1,8,32", "--clips")]
    beams = [round(_number(n, "--beam")) for n in split_list(beam, "--beam")]
    modalities = (
        split_choices(modality, "--modality", ("av", "audio", "video")) if modality else None
    )
    rates = split_rates(audio_rate, "--audio-rate"), split_rates(video_rate, "--video-rate")
    if random is None and (layers is not None or padded):
        raise UsageError("--layers and --padded go with --random")

    _check_outputs(files or [], output, plots)

    progress = ProgressDisplay()
    progress.waiting("loading libraries")
    import torch

    from avsr.benchmark.report import circumstances
    from avsr.benchmark.sizes import random_model
    from avsr.benchmark.stages import all_readings
    from avsr.pretrained import load_model

    if threads is not None:
        torch.set_num_threads(threads)
    if random is None:
        loaded = load_model(model, device, dtype=dtype, say=say, progress=progress)
    else:
        numbers = "float32" if dtype == "auto" else dtype
        loaded = random_model(random, layers=layers, padded=padded, device=device, dtype=numbers)
        max_tokens = max_tokens or 32  # random weights never end a text; published runs stop here
    readings = all_readings(loaded, modalities, *rates)
    command = "avsr " + " ".join(_shown(item) for item in sys.argv[1:])
    results: dict[str, Any] = circumstances(loaded, command)
    n_pairs = repeats if reference else 1
    if files:
        read = _read(files, results)
        groups = [(read, n) for n in (batches if clips is not None else [len(read)])]
    else:
        groups = _noise(loaded, lengths, batches, n_pairs)
    if reference:
        rows = _compare(loaded, groups, readings, beams, max_tokens)
    else:
        rows = _measure(loaded, groups, readings, (beams, draft, max_tokens), repeats)
    results["rows"] = rows
    if output is not None:
        write_output(output, json.dumps(results, indent=1) + "\n", _PURPOSE)
    _print(rows, reference)
    if plots is not None and not reference:
        _plot(rows, plots, results)
    return 0


def _check_outputs(files: list[Path], output: Path | None, plots: Path | None) -> None:
    """Find out before the work whether results may be written.

    Raises:
        UsageError: if one may not.
    """
    outputs = [] if output is None else [output]
    outputs += [] if plots is None else [plots / name for name in _PLOTS]
    check_outputs(outputs, _PURPOSE, inputs=files)


def _read(files: list[Path], results: dict[str, Any]) -> "list[BenchClip]":
    """The clips of files; what reading them took goes into the results."""
    from avsr.benchmark.clips import read_clips, seconds_of
    from avsr.timings import Timings

    timings = Timings()
    clips = read_clips(files, timings, ProgressDisplay())
    results["frontend"] = {
        "seconds": {name: round(spent, 3) for name, spent in timings.seconds.items()},
        "clips_s": round(seconds_of(clips), 2),
    }
    say(f"{len(clips)} clips, {seconds_of(clips):.1f} s; {timings}")
    return clips


def _noise(
    loaded: "LoadedModel", lengths: list[float], batches: list[int], n_pairs: int
) -> "list[tuple[list[BenchClip], int]]":
    """Clips of noise, and how many of them are read together."""
    from avsr.benchmark.clips import longest_encoded_s, noise_clips

    groups = []
    for length in lengths:
        if length > longest_encoded_s(loaded):
            say(f"{length:g} s is left out: {loaded.name} hears {longest_encoded_s(loaded):g} s")
            continue
        groups += [(noise_clips(n * n_pairs, length), n) for n in batches]
    if not groups:
        raise UsageError("--seconds: this model encodes none of these lengths; give shorter ones")
    return groups


def _measure(
    loaded: "LoadedModel",
    groups: "list[tuple[list[BenchClip], int]]",
    readings: "list[Route]",
    asked: tuple[list[int], str | None, int | None],
    repeats: int,
) -> list[dict[str, Any]]:
    """Stages of every group, reading and search."""
    from avsr.benchmark.report import stage_row
    from avsr.benchmark.stages import StageBench
    from avsr.decoding.options import SearchOptions

    beams, draft, max_tokens = asked
    plain = SearchOptions(ctc_weight=0.0, max_new_tokens=max_tokens)
    searches = [replace(plain, num_beams=n) for n in beams]
    if draft is not None:
        searches.append(replace(plain, draft=draft))
    progress, rows = ProgressDisplay(), []
    n_each = len(readings) * len(searches)
    total = len(groups) * n_each
    lengths_s = [sum(clip.duration_s for clip in clips[:n]) for clips, n in groups]
    started = time.perf_counter()
    for clips, n_together in groups:
        batch = StageBench(loaded, clips[:n_together], repeats)
        for reading in readings:
            for search in searches:
                progress("measuring", len(rows), total)
                try:
                    rows.append(stage_row(batch.measure(reading, search)))
                except SettingError as error:
                    message = f"{loaded.name}: {error}"
                    raise SettingError(message, settings=error.settings) from error
                if len(rows) == 1 < total:
                    first_s = time.perf_counter() - started
                    all_s = first_s * n_each * sum(lengths_s) / lengths_s[0]
                    say(f"{total} measurements take {clock(all_s)} at most, by the first one")
    progress("measuring", total, total)
    return rows


def _compare(
    loaded: "LoadedModel",
    groups: "list[tuple[list[BenchClip], int]]",
    readings: "list[Route]",
    beams: list[int],
    max_tokens: int | None,
) -> list[dict[str, Any]]:
    """Both procedures on every group."""
    from avsr.benchmark.comparison import compare
    from avsr.benchmark.report import comparison_row

    progress, rows = ProgressDisplay(), []
    for clips, n_together in groups:
        for num_beams in beams:
            compared = compare(
                loaded,
                clips,
                readings,
                num_beams=num_beams,
                batch_size=n_together,
                max_new_tokens=max_tokens,
                progress=progress,
            )
            mean_s = sum(clip.duration_s for clip in clips) / len(clips)
            rows.append({"n_clips": len(clips), "clip_s": mean_s, **comparison_row(compared)})
    return rows


def _print(rows: list[dict[str, Any]], reference: bool) -> None:
    from avsr.benchmark.report import comparison_table, stage_table

    print((comparison_table if reference else stage_table)(rows), end="", flush=True)


def _plot(rows: list[dict[str, Any]], folder: Path, results: dict[str, Any]) -> None:
    from avsr.benchmark.plots import plot_latency, plot_throughput

    title = f"{results['model']}, {results['dtype']}"
    for draw, name in zip((plot_latency, plot_throughput), _PLOTS, strict=True):
        if draw(rows, folder / name, title):
            note_output(folder / name, _PURPOSE)
            say(f"wrote {folder / name}")


def _number(item: str, option: str) -> float:
    try:
        value = float(item)
    except ValueError:
        value = 0.0
    if value <= 0 or value > 1e6:
        raise UsageError(f"{option} {item}: give numbers above 0, with commas between them")
    return value


def _shown(argument: str) -> str:
    """An argument for the record: of a file only its name."""
    return Path(argument).name if "/" in argument else argument

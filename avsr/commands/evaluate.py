"""``avsr evaluate``: word error rates over a manifest, for all combinations of settings."""

from pathlib import Path
from typing import Annotated

import typer

from avsr.commands.interruption import goes_on
from avsr.commands.messages import say
from avsr.commands.options import (
    AllowUntrainedRate,
    Beam,
    CtcTexts,
    CtcWeight,
    Debug,
    Device,
    Draft,
    GpusPerWorker,
    Layout,
    Model,
    Offline,
    Ray,
    Split,
    print_version,
    ray_cluster,
    split_choices,
    split_list,
    split_rates,
)
from avsr.commands.progress import ProgressDisplay
from avsr.datasets.problems import problem_lines
from avsr.errors import InputError, UsageError
from avsr.route import Modality


def evaluate(
    manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON Lines: id, path, text.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="In place of a manifest: a corpus in its own layout."),
    ] = None,
    layout: Layout = "auto",
    split: Split = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write results as JSON; card, tables and utterances beside it. Resumable.",
        ),
    ] = None,
    plots: Annotated[
        bool, typer.Option("--plots", help="Also draw WER against tokens/s, noise and rate.")
    ] = False,
    model: Model = "auto",
    modality: Annotated[str, typer.Option(help="List of av, audio, video.")] = "av",
    audio_rate: Annotated[
        str | None, typer.Option(help="List of audio rates. Default: the finest trained.")
    ] = None,
    video_rate: Annotated[
        str | None, typer.Option(help="List of video rates. Default: the finest trained.")
    ] = None,
    noise: Annotated[
        str | None, typer.Option(help="List of clean, babble, and sound files. Default: clean.")
    ] = None,
    snr: Annotated[
        str | None, typer.Option(help="List of speech-to-noise ratios in dB, for each noise.")
    ] = None,
    babble_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take babble voices from this manifest instead."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many utterances.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Changes noise and the draws for intervals.")] = 0,
    beam: Beam = None,
    ctc_weight: CtcWeight = None,
    ctc_texts: CtcTexts = None,
    draft: Draft = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips decoded together.")] = 16,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="Processes, each with the model. Default: 1, on Ray all that there is room for.",
        ),
    ] = None,
    ray: Ray = None,
    gpus_per_worker: GpusPerWorker = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep decoded and cropped clips here for later runs."),
    ] = None,
    device: Device = "auto",
    offline: Offline = False,
    allow_untrained_rate: AllowUntrainedRate = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything is wrong with any clip.")
    ] = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Measure word error rates on a manifest or a corpus; --manifest or --data is needed.

    Options that take a list (values with commas between them) are combined in all ways; a rate that
    a modality does not use is not multiplied. A table goes to standard output.
    """
    source = _source(manifest, data, layout, split)
    if babble_from is not None:
        _check_is_file(babble_from)
    audio_rates = split_rates(audio_rate, "--audio-rate")
    video_rates = split_rates(video_rate, "--video-rate")
    modalities: list[Modality] = split_choices(modality, "--modality", ("av", "audio", "video"))
    noises = split_list(noise, "--noise") if noise is not None else ["clean"]
    ratios = _ratios(snr)

    goes_on(
        "the same command goes on from there"
        if output
        else "with -o FILE, a run that was stopped can go on"
    )
    progress = ProgressDisplay()
    progress.waiting("loading libraries")
    from avsr.decoding.options import SearchOptions
    from avsr.evaluation.evaluate import evaluate as run
    from avsr.evaluation.settings import EvaluationSettings

    settings = EvaluationSettings(
        source=source,
        layout=layout if data else "jsonl",
        split=split,
        limit=limit,
        model=model,
        device=device,
        allow_untrained_rate=allow_untrained_rate,
        modalities=tuple(modalities),
        audio_rates=tuple(audio_rates),
        video_rates=tuple(video_rates),
        noises=tuple(noises),
        snrs_db=tuple(ratios),
        babble_from=babble_from,
        seed=seed,
        search=SearchOptions(
            num_beams=beam, ctc_weight=ctc_weight, ctc_texts=ctc_texts, draft=draft
        ),
        batch_size=batch_size,
        jobs=jobs,
        cluster=ray_cluster(ray, gpus_per_worker),
        cache=cache,
        output=output,
        plots=plots,
    )
    results = run(settings, say=say, progress=progress)
    progress.close()
    full_list = str(results.files[1]) if results.files else "the results file"  # the card
    for line in problem_lines(results.problems, full_list):
        say(line)
    if draft == "ctc":
        share = results.n_accepted / max(1, results.n_drafted)
        say(f"draft: {share:.0%} of {results.n_drafted} proposed tokens were right")
    print(results.table, end="", flush=True)
    if results.failure:
        raise InputError(f"no clip could be read; the first reason: {results.failure}")
    return 1 if strict and results.problems else 0


def _source(manifest: Path | None, data: Path | None, layout: str, split: str | None) -> Path:
    """The manifest or corpus.

    Raises:
        UsageError: unless exactly one of them is given, with the options that go with it.
    """
    if (manifest is None) == (data is None):
        raise UsageError("give either --manifest FILE or --data DIR")
    if manifest is not None:
        if split is not None or layout != "auto":
            raise UsageError("--layout and --split go with --data DIR, not with --manifest")
        _check_is_file(manifest)
        return manifest
    assert data is not None
    return data


def _check_is_file(manifest: Path) -> None:
    if manifest.is_dir():
        raise UsageError(f"{manifest}: is a folder; name the manifest in it, or give --data DIR")
    if not manifest.is_file():
        raise UsageError(f"{manifest}: no such manifest; give a JSON Lines file")


def _ratios(snr: str | None) -> list[float]:
    """Read a list of ratios in dB.

    Raises:
        UsageError: if one is no number.
    """
    try:
        return [float(item) for item in split_list(snr, "--snr")] if snr is not None else []
    except ValueError:
        raise UsageError(f"--snr {snr!r}: ratios are numbers in dB, such as 10,5,0,-5") from None

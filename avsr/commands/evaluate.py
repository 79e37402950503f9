"""``avsr evaluate``: word error rates over a manifest, for all combinations of settings."""

import hashlib
import json
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avsr.commands.messages import ProgressLine, say
from avsr.commands.options import (
    AllowUntrainedRate,
    Beam,
    CtcWeight,
    Debug,
    Device,
    Draft,
    Layout,
    Model,
    Split,
    print_version,
    split_choices,
    split_list,
    split_rates,
)
from avsr.errors import UsageError

if TYPE_CHECKING:
    from avsr.decoding.options import SearchOptions
    from avsr.pretrained import LoadedModel

CLEAN = "clean"


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
    model: Model = "grid-tiny",
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
    draft: Draft = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips decoded together.")] = 16,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Processes, each with the model.")
    ] = 1,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep decoded and cropped clips here for later runs."),
    ] = None,
    device: Device = "auto",
    allow_untrained_rate: AllowUntrainedRate = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything is wrong with any clip.")
    ] = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Measure word error rates on a manifest or a corpus.

    Options that take a list (values with commas between them) are combined in all ways; a rate that
    a modality does not use is not multiplied. A table goes to standard output.
    """
    source = _source(manifest, data, layout, split)
    sounds = _sounds(noise, snr)
    audio_rates = split_rates(audio_rate, "--audio-rate")
    video_rates = split_rates(video_rate, "--video-rate")
    modalities = split_choices(modality, "--modality", ("av", "audio", "video"))
    _check_output(output, plots)

    from avsr.clips.cache import ClipCache
    from avsr.datasets.problems import problem_lines
    from avsr.decoding.options import SearchOptions
    from avsr.evaluation.conditions import plan_conditions
    from avsr.evaluation.data import read_evaluation_data
    from avsr.evaluation.files import sibling, write_results
    from avsr.evaluation.journal import Journal
    from avsr.evaluation.noise_sources import build_noises
    from avsr.evaluation.problems import find_problems
    from avsr.evaluation.report import to_dict
    from avsr.evaluation.run import evaluate as run_evaluation
    from avsr.pretrained import load_model
    from avsr.recognition.hypotheses import resolved_search
    from avsr.scoring.normalisers import describe_normalisers
    from avsr.scoring.tables import results_table

    corpus = read_evaluation_data(source, layout if data else "jsonl", split, limit)
    say(f"{source}: {len(corpus.utterances)} clips")
    for note in corpus.notes:
        say(f"note: {note}")
    voices = corpus.voices
    if babble_from is not None:
        voices = read_evaluation_data(babble_from, "jsonl", None).utterances
    named = [name for name, _ in sounds if name is not None]
    noises, described = build_noises(named, voices, seed)
    loaded = load_model(model, device, allow_untrained_rate=allow_untrained_rate)
    conditions = plan_conditions(loaded, modalities, audio_rates, video_rates, sounds)
    routes = [condition.route for condition in conditions]
    asked = SearchOptions(num_beams=beam, ctc_weight=ctc_weight, draft=draft)
    search = resolved_search(loaded, asked, routes)
    for doubt in loaded.doubts_about(routes):
        say(f"warning: {doubt}")
    settings = {
        "model": _about_model(loaded),
        "data": corpus.about,
        "babble_from": babble_from.name if babble_from else None,
        "noises": described,
        "seed": seed,
        "decoding": _about_decoding(loaded, search),
        "normalisers": describe_normalisers(),
    }
    with ExitStack() as stack:
        journal = None
        if output is not None:
            run = json.dumps([settings, [str(row) for row in conditions]])
            digest = hashlib.sha256(run.encode()).hexdigest()
            journal = Journal(output.with_name(f"{output.name}.partial"), digest)
            folder = cache or journal.clips
        else:
            folder = cache or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avsr-")))
        evaluation = run_evaluation(
            loaded,
            corpus.utterances,
            conditions,
            cache=ClipCache(folder),
            noises=noises,
            search=search,
            batch_size=batch_size,
            jobs=jobs,
            journal=journal,
            progress=ProgressLine(),
        )
    n_readings = evaluation.n_recognised * len(conditions)
    say(
        f"{n_readings} readings ({evaluation.n_recognised} clips, {len(conditions)} rows) in "
        f"{evaluation.seconds:.1f} s, {n_readings / max(evaluation.seconds, 1e-9):.1f} a second"
    )
    problems = [*corpus.problems, *find_problems(evaluation.outcomes, loaded)]
    results = to_dict(evaluation, settings, problems=problems, notes=corpus.notes)
    if output is not None:
        for path in write_results(output, results, plots=plots):
            say(f"-> {path}")
        if journal is not None:
            journal.remove()
    full_list = "the results file" if output is None else str(sibling(output, "card.md"))
    for line in problem_lines(problems, full_list):
        say(line)
    if draft is not None:
        share = evaluation.n_accepted / max(1, evaluation.n_drafted)
        say(f"draft: {share:.0%} of {evaluation.n_drafted} proposed tokens were right")
    print(results_table(results["rows"]).render("text"), end="", flush=True)
    return 1 if strict and problems else 0


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
        if not manifest.is_file():
            raise UsageError(f"{manifest}: no such manifest; give a JSON Lines file")
        return manifest
    assert data is not None
    return data


def _about_model(loaded: "LoadedModel") -> dict[str, Any]:
    """Name, digest, and the frozen models that are not inside."""
    from avsr.pretrained import model_digest

    bases = [
        f"{part}: {base['name']}" + (f" at {base['revision']}" if base.get("revision") else "")
        for part, base in (loaded.model.config.base_models or {}).items()
    ]
    return {"name": loaded.name, "sha256": model_digest(loaded.location), "bases": bases}


def _about_decoding(loaded: "LoadedModel", search: "SearchOptions") -> dict[str, Any]:
    beams = "greedy" if search.num_beams == 1 else f"beam search, {search.num_beams} beams"
    if search.ctc_weight:
        beams += f", rescored by CTC with weight {search.ctc_weight:g}"
    return {
        "search": beams + (f", drafts by {search.draft}" if search.draft else ""),
        **asdict(search),
        "max_tokens_per_second": loaded.model.config.max_tokens_per_second,
        "device": str(loaded.device),
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
    }


def _sounds(noise: str | None, snr: str | None) -> list[tuple[str | None, float | None]]:
    """All pairs of noise and ratio; (None, None) is clean sound.

    Raises:
        UsageError: if one is given without the other, or a ratio is no number.
    """
    names = split_list(noise, "--noise") if noise is not None else [CLEAN]
    noisy = [name for name in names if name != CLEAN]
    if noisy and snr is None:
        raise UsageError(f"--noise {noise}: also give --snr, the ratio in dB, such as 10,5,0")
    if snr is not None and not noisy:
        raise UsageError(f"--snr {snr}: also give --noise, babble or a sound file")
    try:
        ratios = [float(item) for item in split_list(snr, "--snr")] if snr is not None else []
    except ValueError:
        raise UsageError(f"--snr {snr!r}: ratios are numbers in dB, such as 10,5,0,-5") from None
    if not all(abs(ratio) <= 100 for ratio in ratios):
        raise UsageError(f"--snr {snr!r}: ratios go from -100 to 100 dB")
    sounds: list[tuple[str | None, float | None]] = []
    for name in names:
        sounds += [(None, None)] if name == CLEAN else [(name, ratio) for ratio in ratios]
    return sounds


def _check_output(output: Path | None, plots: bool) -> None:
    """Find out before the work, not after it, that results cannot be written."""
    if output is None:
        if plots:
            raise UsageError("--plots: also give --output FILE, beside which they are written")
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {output}: cannot make its folder ({error.strerror})") from None
    if output.is_dir():
        raise UsageError(f"--output {output}: is a folder; give a file name")

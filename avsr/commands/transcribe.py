"""``avsr transcribe``: files in, text out; one bad file never harms the others."""

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from avsr.commands.delivery import deliver
from avsr.commands.early_start import begin_early
from avsr.commands.events import Events
from avsr.commands.interruption import goes_on
from avsr.commands.many_files import elsewhere, one_by_one, without_existing
from avsr.commands.messages import say
from avsr.commands.options import (
    AllowUntrainedRate,
    Beam,
    CtcTexts,
    CtcWeight,
    Debug,
    Device,
    Draft,
    FileModality,
    GpusPerWorker,
    Model,
    Offline,
    Ray,
    print_version,
    ray_cluster,
)
from avsr.commands.output_names import Destination
from avsr.commands.parallel import Engine
from avsr.commands.quick_start import import_sparingly, without_collection
from avsr.commands.results import check_results, plan_results, split_formats
from avsr.errors import UsageError
from avsr.inputs import STANDARD_INPUT, expand_inputs
from avsr.timings import Timings

if TYPE_CHECKING:
    from avsr.clips.sources import Source
    from avsr.recognition.request import Request
    from avsr.recognizer import Recognizer

_Quality = Literal["best", "balanced", "fast"]
_Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def transcribe(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Video or audio files, folders, patterns, or - for standard input.",
            show_default=False,
        ),
    ],
    model: Model = "auto",
    modality: Annotated[
        FileModality,
        typer.Option(help="auto uses sound and lips where both are there, and says what it used."),
    ] = "auto",
    audio_rate: Annotated[
        int | None, typer.Option(min=1, help="Audio frames per token. Default: the finest trained.")
    ] = None,
    video_rate: Annotated[
        int | None, typer.Option(min=1, help="Video frames per token. Default: the finest trained.")
    ] = None,
    allow_untrained_rate: AllowUntrainedRate = False,
    quality: Annotated[
        _Quality | None,
        typer.Option(
            help="Rates: best is the finest, fast the coarsest, balanced fine sound and coarse "
            "lips. Default: best."
        ),
    ] = None,
    max_tokens_per_second: Annotated[
        float | None,
        typer.Option(min=0.1, help="Most language-model tokens that a second may become."),
    ] = None,
    rate: Annotated[
        Literal["auto"] | None,
        typer.Option(help="auto: begin coarse, and read finely only what is unsure or noisy."),
    ] = None,
    face: Annotated[
        str,
        typer.Option(
            metavar="FACE",
            help="Whose lips, of several faces: speaking, largest, a number (from the left), or "
            "all, each for itself.",
        ),
    ] = "speaking",
    roi: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Look only at this part of the picture, in pixels."),
    ] = None,
    audio_track: Annotated[
        str | None,
        typer.Option(
            metavar="N|LANG",
            help="Which of several sound tracks, by number or language. Default: the one that the "
            "file marks, else the first that is not silent.",
        ),
    ] = None,
    save_lips: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the mouth crops as videos DIR/NAME-face1.mp4 ..."),
    ] = None,
    beam: Beam = None,
    ctc_weight: CtcWeight = None,
    ctc_texts: CtcTexts = None,
    draft: Draft = None,
    start: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Begin here in each file.")
    ] = None,
    end: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Stop here in each file.")
    ] = None,
    keep_unsure: Annotated[
        bool,
        typer.Option(
            "--keep-unsure", help="Keep words that neither a voice nor moving lips support."
        ),
    ] = False,
    device: Device = "auto",
    dtype: Annotated[
        _Dtype, typer.Option(help="auto: as stored, but float32 on a CPU slow at bfloat16.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: PyTorch's choice.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="Files at once, each with the model. Default: 1, on Ray all that there is room "
            "for.",
        ),
    ] = None,
    ray: Ray = None,
    gpus_per_worker: GpusPerWorker = None,
    offline: Offline = False,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            envvar="AVSR_TRANSCRIBE_FORMAT",
            metavar="FORMAT",
            help="txt, srt, vtt, tsv, json (on standard output: one object a line), several with "
            "commas, or all.",
        ),
    ] = "txt",
    max_line_width: Annotated[
        int, typer.Option(min=1, help="Subtitles: characters of a line.")
    ] = 42,
    max_line_count: Annotated[
        int, typer.Option(min=1, help="Subtitles: lines at once, a label included.")
    ] = 2,
    highlight_words: Annotated[
        bool,
        typer.Option("--highlight-words", help="Subtitles: underline each word as it is said."),
    ] = False,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Subtitles: say always whose face it is, not only where two talk at once.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|PATTERN",
            help="Also write DIR/NAME.txt or so, or what a pattern names, such as "
            "'texts/{stem}-{face}.{ext}'; an interrupted run goes on from what is there.",
        ),
    ] = None,
    output_next_to_source: Annotated[
        bool,
        typer.Option("--output-next-to-source", help="Also write the results beside each file."),
    ] = False,
    keep_tree: Annotated[
        bool, typer.Option("--keep-tree", help="Repeat the files' folders below -o DIR.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also look in the folders below a folder.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out files whose results are there.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first file that fails.")
    ] = False,
    json_lines: Annotated[
        bool,
        typer.Option(
            "--json-lines",
            help="Report on standard output as JSON, a line for each segment, result and error.",
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only errors on standard error.")
    ] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Show where the time went.")] = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Write down what is said in video or audio files of any length.

    The text goes to standard output as it comes, a line for each segment, on a terminal with its
    times; everything else goes to standard error.
    """
    formats = split_formats(output_format)
    inputs = expand_inputs(files, recursive=recursive)
    destination = Destination(
        output=output, next_to_source=output_next_to_source, keep_tree=keep_tree
    )
    one_face = face if face.isdecimal() else "1"
    results = plan_results(inputs, destination, formats, save_lips, one_face)
    events = Events(
        formats=formats, json_lines=json_lines, quiet=quiet, has_files=destination.has_files
    )
    if skip_existing:
        inputs, results = without_existing(inputs, results, events)
        if not inputs:
            return 0
    check_results(inputs, results)
    cluster = ray_cluster(ray, gpus_per_worker, threads or 1)
    n_workers = min(jobs or 0 if cluster else jobs or 1, len(inputs))  # 0: all there is room for
    is_alone = cluster is None and n_workers == 1
    if any(str(file.path) == STANDARD_INPUT for file in inputs) and (cluster or (jobs or 1) > 1):
        option = "--ray" if cluster else "--jobs"
        raise UsageError(f"{option}: standard input is read alone; give it without {option}")
    goes_on(
        "the same command with --skip-existing goes on from there"
        if destination.has_files
        else "with -o DIR, a run that was stopped can go on"
    )
    events.loading()
    total = Timings()
    engine = Engine(
        model=model,
        device=device,
        dtype=dtype,
        offline=offline,
        allow_untrained_rate=allow_untrained_rate,
        threads=threads,
    )
    with without_collection():
        with total.measure("imports"):
            import_sparingly()
            from avsr.decoding.options import SearchOptions
            from avsr.recognition.request import Request  # transformers: seconds
            from avsr.recognition.request_texts import parse_audio_track, parse_face, parse_roi
            from avsr.rendering import SubtitleStyle

            request = Request(
                modality=modality,
                audio_rate=audio_rate,
                video_rate=video_rate,
                search=SearchOptions(
                    num_beams=beam, ctc_weight=ctc_weight, ctc_texts=ctc_texts, draft=draft
                ),
                start=start,
                end=end,
                keep_unsure=keep_unsure,
                face=parse_face(face),
                roi=None if roi is None else parse_roi(roi),
                quality=quality,
                max_tokens_per_second=max_tokens_per_second,
                auto_rate=rate == "auto",
                audio_track=None if audio_track is None else parse_audio_track(audio_track),
            )
            begun = begin_early(inputs[0], results[0], request) if is_alone else None
        after_imports = time.perf_counter()
        with total.measure("model"):
            recognizer = _loaded(engine, request, begun, events)
    if recognizer.loaded.note:
        events.tell(recognizer.loaded.note)
    style = SubtitleStyle(
        max_line_width=max_line_width,
        max_line_count=max_line_count,
        highlight_words=highlight_words,
        labels=labels,
    )
    pairs = list(zip(inputs, results, strict=True))
    if is_alone:
        outcomes = one_by_one(recognizer, request, style, pairs, events, begun)
    else:
        name = recognizer.loaded.name
        del recognizer  # each worker has its own
        outcomes = elsewhere(engine, name, request, style, pairs, n_workers, cluster, events)
    n_failed = 0
    with closing(outcomes):
        for outcome in outcomes:
            deliver(outcome, formats[0], style, events, debug)
            n_failed += outcome.result is None
            for stage, seconds in outcome.result.timings.items() if outcome.result else ():
                total.add(stage, seconds)
            if outcome.result is None and fail_fast:
                break
    if timings:
        after_imports_s = time.perf_counter() - after_imports  # some stages go side by side
        say(f"timings: {total}; after imports {after_imports_s:.2f} s")
    if n_failed and len(inputs) > 1:
        others = "stopped there" if fail_fast else "the others are done"
        say(f"{n_failed} of {len(inputs)} files failed; {others}")
    return 1 if n_failed else 0


def _loaded(
    engine: Engine, request: "Request", begun: "Source | None", events: Events
) -> "Recognizer":
    """The model, which can do what is asked for; if not, nothing is read any more."""
    try:
        recognizer = engine.load(events.tell, events.fetching())
        recognizer.check(request)
    except BaseException:
        if begun is not None:
            begun.close()
        raise
    return recognizer

"""``avsr evaluate``: word error rates over a manifest, for all combinations of settings."""

import hashlib
import json
import tempfile
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avsr.atomic import write_text_atomically
from avsr.commands.messages import ProgressLine, say
from avsr.commands.options import (
    AllowUntrainedRate,
    Beam,
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
from avsr.manifest import Utterance, read_manifest

if TYPE_CHECKING:
    import numpy as np

    from avsr.noise import NoiseSource

CLEAN = "clean"
BABBLE = "babble"
_KEPT_VOICES = 4000  # clips of babble voices held in memory, 0.2 MB each for three seconds


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
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write results as JSON.")
    ] = None,
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
    seed: Annotated[int, typer.Option(help="Changes where noise is taken from.")] = 0,
    beam: Beam = None,
    draft: Draft = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips decoded together.")] = 16,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep decoded and cropped clips here for later runs."),
    ] = None,
    device: Device = "auto",
    allow_untrained_rate: AllowUntrainedRate = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Measure word error rates on a manifest or a corpus.

    Options that take a list (values with commas between them) are combined in all ways; a rate that
    a modality does not use is not multiplied. A table goes to standard output.
    """
    utterances, corpus = _read_corpus(manifest, data, layout, split)
    sounds = _sounds(noise, snr)
    audio_rates = split_rates(audio_rate, "--audio-rate")
    video_rates = split_rates(video_rate, "--video-rate")
    modalities = split_choices(modality, "--modality", ("av", "audio", "video"))
    voices = read_manifest(babble_from) if babble_from else utterances
    _check_output(output)

    from avsr.clip_cache import ClipCache
    from avsr.conditions import plan_conditions
    from avsr.evaluation import evaluate as run_evaluation
    from avsr.evaluation_report import findings, table, to_dict
    from avsr.hypotheses import DEFAULT_BEAMS, check_draft
    from avsr.pretrained import load_model

    noises, described = _noise_sources(sounds, voices, seed)
    loaded = load_model(model, device, allow_untrained_rate=allow_untrained_rate)
    check_draft(loaded, draft, modalities, beam or DEFAULT_BEAMS)
    conditions = plan_conditions(loaded, modalities, audio_rates, video_rates, sounds)
    for doubt in loaded.doubts_about(audio_rates, video_rates):
        say(f"warning: {doubt}")
    with ExitStack() as stack:
        folder = cache or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avsr-")))
        evaluation = run_evaluation(
            loaded,
            utterances[:limit],
            conditions,
            cache=ClipCache(folder),
            noises=noises,
            num_beams=beam or DEFAULT_BEAMS,
            draft=draft,
            batch_size=batch_size,
            progress=ProgressLine(),
        )
    for line in findings(evaluation):
        say(line)
    if draft is not None:
        share = evaluation.n_accepted / max(1, evaluation.n_drafted)
        say(f"draft: {share:.0%} of {evaluation.n_drafted} proposed tokens were right")
    settings = {
        "model": loaded.name,
        **corpus,
        "babble_from": babble_from.name if babble_from else None,
        "noises": described,
        "limit": limit,
        "seed": seed,
        "num_beams": beam or DEFAULT_BEAMS,
        "draft": draft,
        "device": str(loaded.device),
        "normaliser": "lower case, no punctuation but apostrophes",
    }
    results = to_dict(evaluation, settings)
    if output is not None:
        write_text_atomically(output, json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    print(table(results["rows"]), end="", flush=True)
    return 0


def _read_corpus(
    manifest: Path | None, data: Path | None, layout: str, split: str | None
) -> tuple[list[Utterance], dict[str, Any]]:
    """The utterances, and what the results say about where they come from.

    Raises:
        UsageError: unless exactly one of ``manifest`` and ``data`` is given and can be read.
    """
    if (manifest is None) == (data is None):
        raise UsageError("give either --manifest FILE or --data DIR")
    if manifest is not None:
        if split is not None or layout != "auto":
            raise UsageError("--layout and --split go with --data DIR, not with --manifest")
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""
        return read_manifest(manifest), {"manifest": manifest.name, "manifest_sha256": digest}
    assert data is not None
    from avsr.datasets import read_dataset

    dataset = read_dataset(data, layout, split)
    for problem in dataset.problems:
        say(f"left out, {problem.kind}: {problem.id}: {problem.detail}")
    labels = json.dumps([[clip.id, clip.text] for clip in dataset.utterances])
    say(f"{data}: layout {dataset.layout}, {len(dataset.clips)} clips")
    return dataset.utterances, {
        "data": data.name,
        "layout": dataset.layout,
        "split": split,
        "labels_sha256": hashlib.sha256(labels.encode()).hexdigest(),
        "left_out": len(dataset.problems),
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


def _noise_sources(
    sounds: list[tuple[str | None, float | None]], voices: list[Utterance], seed: int
) -> tuple[dict[str, "NoiseSource"], dict[str, Any]]:
    """The noises by name, and what the results say about them.

    Raises:
        UsageError: if a noise file cannot be read or is silent.
    """
    from avsr.clip import read_utterance
    from avsr.noise import BABBLE_VOICES, Babble, Recording
    from avsr_frontends.media import MediaError, read_audio

    @lru_cache(maxsize=_KEPT_VOICES)
    def read_voice(utterance: Utterance) -> "np.ndarray | None":
        try:
            return read_utterance(utterance, picture=False).audio
        except MediaError:  # no sound, or unreadable: another voice takes its place
            return None

    sources: dict[str, NoiseSource] = {}
    described: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _ in sounds if name is not None):
        if name == BABBLE:
            sources[name] = Babble(others=voices, read=read_voice, seed=seed)
            described[name] = {"voices": BABBLE_VOICES, "clips_to_choose_from": len(voices)}
            continue
        try:
            audio = read_audio(name)
        except MediaError as error:
            raise UsageError(f"--noise {error} (or use babble)") from None
        if not audio.any():
            raise UsageError(f"--noise {name}: this recording is silent; give another")
        sources[name] = Recording(audio=audio, seed=seed)
        digest = hashlib.sha256(Path(name).read_bytes()).hexdigest()
        described[name] = {"sha256": digest, "duration": round(len(audio) / 16_000, 3)}
    return sources, described


def _check_output(output: Path | None) -> None:
    """Find out before the work, not after it, that results cannot be written."""
    if output is None:
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {output}: cannot make its folder ({error.strerror})") from None
    if output.is_dir():
        raise UsageError(f"--output {output}: is a folder; give a file name")

"""``avsr convert``: a published checkpoint in, a model folder out."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from avsr.commands.messages import say
from avsr.commands.options import Debug, Offline, print_version, split_choices, split_rates
from avsr.commands.progress import ProgressDisplay
from avsr.errors import Together, UsageError

if TYPE_CHECKING:
    from avsr.conversion import Conversion


_Dtype = Literal["float32", "float16", "bfloat16"]


def convert(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Checkpoint of Llama-AVSR, Llama-MTSK, Llama-MT, Omni-AVSR, or AV-HuBERT; needed.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder to make; needed.")
    ] = None,
    language_model: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Base language model: folder or hub id (no weights). Needed, but for AV-HuBERT.",
        ),
    ] = None,
    audio_encoder: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Base Whisper: folder or hub id. Default: as published."),
    ] = None,
    video_encoder: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Base AV-HuBERT file. Default: as published."),
    ] = None,
    audio_rates: Annotated[
        str | None,
        typer.Option(help="Trained audio rates, such as 4,16. Default: by FILE's name."),
    ] = None,
    video_rates: Annotated[
        str | None,
        typer.Option(help="Trained video rates, such as 2,5. Default: by FILE's name."),
    ] = None,
    modalities: Annotated[
        str | None,
        typer.Option(help="What it was trained on: list of audio, video, av. Default: by FILE."),
    ] = None,
    lora_scaling: Annotated[
        float | None,
        typer.Option(help="LoRA's alpha over its divisor. Default: as published, 0.125."),
    ] = None,
    official_numerics: Annotated[
        bool, typer.Option("--official-numerics", help="Round as the published runs did.")
    ] = False,
    dtype: Annotated[
        _Dtype | None, typer.Option(help="Type of the weights. Default: as in FILE.")
    ] = None,
    offline: Offline = False,
    debug: Debug = False,
    version: print_version = False,
) -> int:
    """Turn a published checkpoint into a model folder.

    All weights come from FILE; base models only give configurations and the tokenizer. Nothing
    that is pickled in FILE is executed.
    """
    chosen_audio = _rates(audio_rates, "--audio-rates")
    chosen_video = _rates(video_rates, "--video-rates")
    chosen_modalities = (
        split_choices(modalities, "--modalities", ("audio", "video", "av")) if modalities else None
    )

    import torch

    from avsr.conversion import (
        ConversionOptions,
        check_model_folder,
        convert_avhubert,
        is_avhubert_file,
        new_model_folder,
        plan_conversion,
    )

    options = ConversionOptions(
        language_model=language_model,
        audio_encoder=audio_encoder,
        video_encoder=video_encoder,
        audio_rates=chosen_audio,
        video_rates=chosen_video,
        modalities=chosen_modalities,
        lora_scaling=lora_scaling,
        official_numerics=official_numerics,
        dtype=None if dtype is None else getattr(torch, dtype),
        local_files_only=offline,
    )
    together = Together()
    together.need(file, UsageError("FILE is needed: the checkpoint"))
    together.need(output, UsageError("the folder to make is needed", settings=("output",)))
    bases = [Path(base) for base in (language_model, audio_encoder, video_encoder) if base]
    inputs = [*bases, *([] if file is None else [file])]
    if output is not None:
        together.attempt(partial(check_model_folder, output, inputs))
    is_avhubert = plan = None
    if file is not None:
        is_avhubert = together.attempt(partial(is_avhubert_file, file))
        if is_avhubert is False:
            plan = together.attempt(partial(plan_conversion, file, options))
    together.check()
    assert file is not None
    assert output is not None
    with new_model_folder(output, inputs) as folder:
        if plan is None:
            notes = convert_avhubert(file, folder)
        else:
            plan.write(folder, ProgressDisplay())
            notes = plan.notes
        _report_notes(file, notes)
    made = "AV-HuBERT encoder" if plan is None else _describe(plan)
    say(f"{file}: {made} -> {output}")
    return 0


def _rates(value: str | None, option: str) -> list[int] | None:
    return None if value is None else [rate for rate in split_rates(value, option) if rate]


def _report_notes(file: Path, notes: Sequence[str]) -> None:
    for note in notes:
        say(f"{file}: note: {note}")


def _describe(conversion: "Conversion") -> str:
    config = conversion.config
    streams = [
        f"{stream} rates {','.join(map(str, getattr(config, f'{stream}_rates')))}"
        for stream in ("audio", "video")
        if getattr(config, f"{stream}_config") is not None
    ]
    lora = config.lora_strategy or "none"
    return (
        f"{', '.join(config.modalities or ())}; {config.compression} compression, "
        f"{', '.join(streams)}; LoRA {lora}; {conversion.n_bytes / 1e6:.0f} MB"
    )

"""Options that several commands share."""

import os
from typing import Annotated, Literal, TypeVar

import typer

from avsr.errors import UsageError
from avsr.version import __version__
from avsr.workers import RayCluster

Choice = TypeVar("Choice", bound=str)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"avsr {__version__}")
        raise typer.Exit


def _forbid_network(wanted: bool) -> bool:
    """For all that fetches, in this process and in those that it starts."""
    if wanted:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's library is imported, later
    return wanted


print_version = Annotated[
    bool,
    typer.Option(
        "--version",
        callback=_print_version,
        is_eager=True,
        allow_from_autoenv=False,
        help="Print the version and stop.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="AVSR_MODEL",
        help="A bundled model's name, a model folder, or a hub id; auto: see avsr models default.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        envvar="AVSR_DEVICE",
        help="auto, cpu, cuda, cuda:1, mps ... auto takes a GPU if there is one.",
    ),
]
FileModality = Literal["auto", "av", "audio", "video"]
Beam = Annotated[
    int | None,
    typer.Option(min=1, help="Beams of the search; 1 is greedy. Default: the model's own."),
]
CtcWeight = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Weight of the CTC heads in choosing among the beams. Default: the model's own.",
    ),
]
CtcTexts = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="So many texts of each CTC head compete with what the beams find. Default: the "
        "model's own.",
    ),
]
Draft = Annotated[
    str | None,
    typer.Option(
        metavar="ctc|none",
        help="ctc: the encoder's CTC head proposes the text and the language model verifies it, to "
        "the same text as greedy search, sooner. none: no draft in the prompt of a model whose "
        "audio encoder has a decoder of its own.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on a Ray cluster whose nodes all see the files: auto is the one of this "
        "machine, local is started for this run; else HOST:PORT.",
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="N",
        help="GPUs of each worker on Ray; 0.25 lets four share one. Default: 1 if there are any.",
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        callback=_forbid_network,
        help="Never download; use what is on this machine.",
    ),
]
Layout = Annotated[
    str,
    typer.Option(
        help="jsonl, fairseq, autoavsr, lrs2, lrs3, grid or folder; auto goes by what is there."
    ),
]
Split = Annotated[
    str | None, typer.Option(help="Part of the corpus, such as test. Default: all there is.")
]
AllowUntrainedRate = Annotated[
    bool,
    typer.Option(
        "--allow-untrained-rate", help="Accept rates that the model was not trained at; warns."
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


def ray_cluster(
    address: str | None, gpus_per_worker: float | None, cpus_per_worker: int = 1
) -> RayCluster | None:
    """The cluster that the options name.

    Raises:
        UsageError: if it cannot be one.
    """
    if address is None:
        if gpus_per_worker is not None:
            raise UsageError("--gpus-per-worker goes with --ray")
        return None
    return RayCluster(
        address=address, gpus_per_worker=gpus_per_worker, cpus_per_worker=cpus_per_worker
    )


def split_list(value: str, option: str) -> list[str]:
    """Split the value of a comma-separated option.

    Raises:
        UsageError: if an item is empty or comes twice.
    """
    items = [item.strip() for item in value.split(",")]
    if not all(items) or len(set(items)) != len(items):
        raise UsageError(f"{option} {value!r}: give different values with commas between them")
    return items


def split_choices(value: str, option: str, choices: tuple[Choice, ...]) -> list[Choice]:
    """Split a comma-separated option whose items come from a closed list.

    Raises:
        UsageError: if an item is not one of ``choices``.
    """
    known: dict[str, Choice] = {choice: choice for choice in choices}
    items = split_list(value, option)
    for item in items:
        if item not in known:
            raise UsageError(f"{option}: {item!r} is not one of {', '.join(choices)}")
    return [known[item] for item in items]


def split_rates(value: str | None, option: str) -> list[int | None]:
    """Split a comma-separated list of compression rates; None stays None, the finest trained.

    Raises:
        UsageError: if an item is not a whole number from 1 on.
    """
    if value is None:
        return [None]
    items = split_list(value, option)
    if not all(item.isdecimal() and int(item) >= 1 for item in items):
        raise UsageError(f"{option} {value!r}: rates are whole numbers from 1 on, such as 4,16")
    return [int(item) for item in items]

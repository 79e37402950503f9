"""Compression rates of a published checkpoint: from projector widths, the user, or its name."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from avsr.conversion.layout import Layout, ProjectorLayout, Tensors
from avsr.errors import InputError, Together

_RATE_LIST = r"(\d+(?:-\d+)*)"
_NAMED = {  # how published names spell the rates of a stream
    "audio": (rf"Adown{_RATE_LIST}", rf"audio{_RATE_LIST}"),
    "video": (rf"Vdown{_RATE_LIST}", rf"video{_RATE_LIST}"),
}
_NAMED_ALONE = (rf"(?<![AV])down{_RATE_LIST}", r"pool-(\d+)(?![-\d])")  # models of one stream
_NAMED_PAIR = {"audio": r"pool-(\d+)-\d+(?!-)", "video": r"pool-\d+-(\d+)(?!-)"}  # one rate each
_WIDTH_SHOWN_BY = {  # the first size of these weights is that of the encoder's features
    "audio": "audio_encoder.conv1.weight",
    "video": "video_encoder.encoder.layer_norm.weight",
}


def read_rates(
    tensors: Tensors, layout: Layout, given: Mapping[str, Sequence[int] | None], path: Path
) -> tuple[str, dict[str, list[int]]]:
    """Compression, and the rates of each stream that a model has.

    Args:
        tensors: of the checkpoint.
        layout: of the checkpoint.
        given: what the user said of each stream.
        path: the checkpoint.

    Raises:
        InputError: rates cannot be known, or do not fit the projectors.
        SeveralErrors: of both streams.
    """
    stacked = {
        stream: stacking_rates(stream, projectors, tensors[_WIDTH_SHOWN_BY[stream]].shape[0], path)
        for stream, projectors in layout.projectors.items()
    }
    is_stacked = any(rate > 1 for rates in stacked.values() for rate in rates)
    together = Together()
    rates: dict[str, list[int]] = {}
    for stream, projectors in layout.projectors.items():
        chosen = together.attempt(
            partial(
                choose_rates,
                stream,
                projectors,
                stacked[stream] if is_stacked else None,
                given[stream],
                path,
                only_stream=len(layout.projectors) == 1,
            )
        )
        rates[stream] = chosen or []
    together.check()
    return ("stack" if is_stacked else "average"), rates


def rates_in_name(
    stream: str, path: Path, *, only_stream: bool, per_rate: bool
) -> list[int] | None:
    """Rates that the name of a checkpoint, or else of its folder, gives for a stream.

    Args:
        stream: "audio" or "video".
        path: the checkpoint, such as ``..._pool-audio4-16_video2-5_....pth``.
        only_stream: the model has no other stream, so that ``down3`` means this one.
        per_rate: it has a projector for each rate, so that ``pool-4-2`` may mean anything.
    """
    others = _NAMED_ALONE if only_stream else () if per_rate else (_NAMED_PAIR[stream],)
    patterns = (*_NAMED[stream], *others)
    for name in (path.name, path.absolute().parent.name):
        for pattern in patterns:
            match = re.search(pattern, name)
            if match:
                return [int(rate) for rate in match[1].split("-")]
    return None


def stacking_rates(
    stream: str, projectors: ProjectorLayout, encoder_size: int, path: Path
) -> list[int]:
    """Encoder frames that each projector of a stream takes at once; ones when they are averaged.

    Raises:
        InputError: a width that is no multiple of the encoder's.
    """
    rates = []
    for number, size in enumerate(projectors.input_sizes):
        if size % encoder_size or size == 0:
            middle = f".{number}" if projectors.per_rate else ""
            raise InputError(
                f"{path}: {stream}_proj{middle}.0.weight is [{projectors.hidden_size}, {size}], "
                f"but the {stream} encoder yields {encoder_size} features a frame"
            )
        rates.append(size // encoder_size)
    return rates


def choose_rates(
    stream: str,
    projectors: ProjectorLayout,
    stacked: Sequence[int] | None,
    given: Sequence[int] | None,
    path: Path,
    *,
    only_stream: bool,
) -> list[int]:
    """Decide the rates of a stream.

    Args:
        stream: "audio" or "video".
        projectors: the stream's projectors.
        stacked: the rates that the widths give, in a model that stacks frames.
        given: what the user said.
        path: the checkpoint.
        only_stream: the model has no other stream.

    Raises:
        InputError: they cannot be known, or what is said does not fit the projectors.
    """
    option = f"--{stream}-rates"
    if stacked is not None:
        if given is not None and list(given) != list(stacked):
            raise InputError(
                f"{path}: {stream}_proj takes {_listed(stacked)} stacked frames, which is the "
                f"rate; {option} says {_listed(given)}"
            )
        return list(stacked)
    rates = list(given) if given is not None else rates_in_name(
        stream, path, only_stream=only_stream, per_rate=projectors.per_rate
    )  # fmt: skip
    n_projectors = len(projectors.input_sizes)
    if rates is None:
        many = f"{n_projectors} rates" if projectors.per_rate else "the trained rates"
        raise InputError(
            f"{path}: pooling rates are not stored and the name does not tell them; give {many} "
            f"with {option}"
        )
    if projectors.per_rate and len(rates) != n_projectors:
        source = option if given is not None else "the name"
        raise InputError(
            f"{path}: there are {n_projectors} {stream} projectors, one for each rate, but "
            f"{source} says {_listed(rates)}: correct it with {option}"
        )
    return rates


def _listed(rates: Sequence[int]) -> str:
    return ",".join(map(str, rates))

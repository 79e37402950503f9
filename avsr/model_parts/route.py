"""What one row of a batch asks for: a modality and rates, checked against what was trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from avsr.config import TASKS, AvsrConfig, Modality


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way of one clip through the model.

    Attributes:
        modality: "audio", "video" or "av".
        audio_rate: encoder frames per token; None without audio.
        video_rate: encoder frames per token; None without video.
    """

    modality: Modality
    audio_rate: int | None = None
    video_rate: int | None = None

    def __str__(self) -> str:
        """For example ``av A4 V2``."""
        audio = "" if self.audio_rate is None else f" A{self.audio_rate}"
        video = "" if self.video_rate is None else f" V{self.video_rate}"
        return f"{self.modality}{audio}{video}"

    @property
    def task(self) -> str:
        """ "asr", "vsr" or "avsr"."""
        return TASKS[self.modality]

    @property
    def has_audio(self) -> bool:
        return self.modality != "video"

    @property
    def has_video(self) -> bool:
        return self.modality != "audio"


def plan_routes(
    config: AvsrConfig,
    batch_size: int,
    modality: str | Sequence[str] | None = None,
    audio_rate: int | Sequence[int | None] | None = None,
    video_rate: int | Sequence[int | None] | None = None,
    *,
    given: Sequence[str],
    allow_untrained_rate: bool = False,
) -> list[Route]:
    """Return the route of each row.

    Args:
        config: the model's configuration.
        batch_size: number of rows.
        modality: one for all rows or one per row; None: all given streams.
        audio_rate: one for all rows or one per row; None: the finest trained rate.
        video_rate: likewise.
        given: the streams that are there, of "audio" and "video".
        allow_untrained_rate: accept rates outside the trained ones.

    Raises:
        ValueError: an untrained modality or rate, a missing stream, or lists of another length.
    """
    if modality is None:
        modality = "av" if len(given) > 1 else given[0]
    rows = zip(
        _per_row("modality", modality, batch_size),
        _per_row("audio_rate", audio_rate, batch_size),
        _per_row("video_rate", video_rate, batch_size),
        strict=True,
    )
    checked: dict[tuple, Route] = {}
    routes = []
    for row in rows:
        if row not in checked:
            checked[row] = _check_route(config, *row, given, allow_untrained_rate)
        routes.append(checked[row])
    return routes


def check_rate(
    config: AvsrConfig, stream: str, rate: int | None, allow_untrained_rate: bool = False
) -> int:
    """Return ``rate``, or the finest trained one for None.

    Raises:
        ValueError: the rate was not trained (unless allowed) or cannot be used at all.
    """
    trained = sorted(config.audio_rates if stream == "audio" else config.video_rates)
    if rate is None:
        return trained[0]
    if rate in trained:
        return rate
    if rate < 1:
        raise ValueError(f"{stream} rate must be a positive integer, got {rate}")
    if config.compression == "stack":
        raise ValueError(
            f"{stream} rate must be one of {trained} (stacking fixes them), got {rate}"
        )
    if not allow_untrained_rate:
        raise ValueError(
            f"{stream} rate must be one of the trained rates {trained}, got {rate} (untrained "
            "rates can be allowed, but make many more errors)"
        )
    return rate


def nearest_rate(trained: Sequence[int], rate: int) -> int:
    """The trained rate whose ratio to ``rate`` is nearest to one; itself if it was trained."""
    if rate in trained:
        return rate
    return min(trained, key=lambda other: abs(math.log(other / rate)))


def _per_row(name: str, value: object, batch_size: int) -> list:
    if value is None or isinstance(value, (str, int)):
        return [value] * batch_size
    values = list(value)  # pyright: ignore[reportArgumentType]
    if len(values) != batch_size:
        raise ValueError(f"{name} has {len(values)} entries for a batch of {batch_size}")
    return values


def _check_route(
    config: AvsrConfig,
    modality: str,
    audio_rate: int | None,
    video_rate: int | None,
    given: Sequence[str],
    allow_untrained_rate: bool,
) -> Route:
    trained = config.modalities or ()
    if modality not in trained:
        raise ValueError(
            f"modality must be one that this model was trained on ({', '.join(trained)}), "
            f'got "{modality}"'
        )
    needed = ("audio", "video") if modality == "av" else (modality,)
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(f'modality "{modality}" needs {" and ".join(missing)}, which is not given')
    rates = {"audio": audio_rate, "video": video_rate}
    checked = {
        f"{name}_rate": check_rate(config, name, rates[name], allow_untrained_rate)
        for name in needed
    }
    return Route(modality=modality, **checked)  # pyright: ignore[reportArgumentType] checked above

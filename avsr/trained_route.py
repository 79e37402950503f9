"""The one check of a route against what a model was trained for."""

from avsr.config import AvsrConfig
from avsr.errors import SettingError
from avsr.route import Route, Stream

__all__ = ["trained_rate", "trained_route"]


def trained_route(
    config: AvsrConfig,
    modality: str,
    audio_rate: int | None = None,
    video_rate: int | None = None,
    *,
    allow_untrained_rate: bool = False,
    model: str = "this model",
) -> Route:
    """Check what is asked for against what a model was trained for.

    Args:
        config: the model's configuration.
        modality: "audio", "video" or "av".
        audio_rate: None is the finest trained; ignored where the modality has no sound.
        video_rate: None is the finest trained; ignored where the modality has no lips.
        allow_untrained_rate: accept rates outside the trained ones, where the compressor can.
        model: how the model is called in messages.

    Raises:
        SettingError: a modality or rate that was not trained, or a rate below 1.
    """
    trained = config.modalities or ()
    if modality not in trained:
        raise SettingError(
            f"modality must be one that {model} was trained on ({', '.join(trained)}), "
            f"got {modality!r}",
            settings=("modality",),
        )
    route = Route(
        modality=modality,  # pyright: ignore[reportArgumentType] one of the trained
        audio_rate=audio_rate,
        video_rate=video_rate,
    )
    rates = {
        f"{stream}_rate": trained_rate(
            config,
            stream,
            route.rate(stream),
            allow_untrained_rate=allow_untrained_rate,
            model=model,
        )
        for stream in route.streams
    }
    return Route(modality=route.modality, **rates)


def trained_rate(
    config: AvsrConfig,
    stream: Stream,
    rate: int | None,
    *,
    allow_untrained_rate: bool = False,
    model: str = "this model",
) -> int:
    """Check the rate of one stream, see :func:`trained_route`."""
    trained = sorted(config.rates(stream))
    if rate is None:
        return trained[0]
    if rate in trained:
        return rate
    settings: tuple[str, ...] = (f"{stream}_rate",)
    if rate < 1:
        message = f"{stream} rate must be a positive integer, got {rate}"
        raise SettingError(message, settings=settings)
    if allow_untrained_rate and not config.compressor.fixes_rates:
        return rate
    hint = f"{config.compression} compression fixes them"
    if not config.compressor.fixes_rates:
        hint = "or allow untrained rates, which make many more errors"
        settings += ("allow_untrained_rate",)
    raise SettingError(
        f"{model} was not trained at {stream} rate {rate}; use "
        f"{' or '.join(map(str, trained))} ({hint})",
        settings=settings,
    )

"""Which compression rates to use: presets, a budget of tokens, or as fine as each piece needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsr.errors import UsageError
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import Hypothesis, decode
from avsr.recognition.request import Request
from avsr.route import Modality, Route
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME

__all__ = [
    "NOISY_SNR_DB",
    "SURE_LOGPROB",
    "RoutedHypothesis",
    "choose_route",
    "decode_as_fine_as_needed",
    "estimate_snr_db",
    "possible_routes",
]

# Tuned on GRID s1_dev, clean and in babble: python recipes/grid/rate_auto.py --tune
SURE_LOGPROB = math.log(0.6)  # a coarse reading as sure as this stands
NOISY_SNR_DB = 6.0  # sound worse than this is read finely from the start


@dataclass(frozen=True, kw_only=True)
class RoutedHypothesis:
    """What was read from a clip, and by which route."""

    hypothesis: Hypothesis
    route: Route


def possible_routes(loaded: LoadedModel, modality: Modality, request: Request) -> list[Route]:
    """The routes that a model and a request allow for a modality, most tokens first.

    Raises:
        UsageError: a rate that was not trained, or a budget that excludes all routes.
    """
    finest = loaded.route(modality, request.audio_rate, request.video_rate)
    fixed = {"audio": request.audio_rate, "video": request.video_rate}
    rates: dict[str, list[int | None]] = {"audio": [None], "video": [None]}
    for stream in finest.streams:
        rates[stream] = [*(loaded.rates(stream) if fixed[stream] is None else [fixed[stream]])]
    routes = [
        Route(modality=modality, audio_rate=audio, video_rate=video)
        for audio in rates["audio"]
        for video in rates["video"]
    ]
    routes.sort(key=lambda route: (-route.tokens_per_second, route.audio_rate or 0))
    budget = request.max_tokens_per_second
    if budget is None:
        return routes
    affordable = [route for route in routes if route.tokens_per_second <= budget]
    if not affordable:
        coarsest = routes[-1]
        raise UsageError(
            f"at most {budget:g} tokens per second: the coarsest rates ({coarsest.in_words}) need "
            f"{coarsest.tokens_per_second:.3g}",
            settings=("max_tokens_per_second",),
        )
    return affordable


def choose_route(loaded: LoadedModel, modality: Modality, request: Request) -> Route:
    """The route that is used throughout an input.

    "best" is the finest that the budget allows, "fast" the coarsest. "balanced" spends on the
    sound, which says more per token: the finest audio rate beside the coarsest video rate; of a
    single stream the rate in the middle.

    Raises:
        UsageError: a rate that was not trained, or a budget that excludes all routes.
    """
    possible = possible_routes(loaded, modality, request)
    if request.quality == "fast":
        return possible[-1]
    if request.quality != "balanced":
        return possible[0]
    if modality != "av":
        return possible[len(possible) // 2]
    return min(possible, key=lambda route: (route.audio_rate or 0, -(route.video_rate or 0)))


def decode_as_fine_as_needed(
    loaded: LoadedModel,
    streams: EncodedStreams,
    modality: Modality,
    request: Request,
    waveforms: Sequence[np.ndarray],
) -> list[RoutedHypothesis]:
    """Read each clip of a batch at the coarsest rates, and what is doubtful again at the finest.

    Of two readings the surer one counts. Noisy sound is read finely at once.

    Args:
        loaded: the model.
        streams: encoded sound and lips, where used.
        modality: which of them are used.
        request: limits on the rates, and how to search.
        waveforms: the sound of each clip; empty where it is not used.

    Returns:
        One reading for each clip.
    """
    possible = possible_routes(loaded, modality, request)
    coarse, fine = possible[-1], possible[0]
    n_clips = streams.n_clips
    noisy = [
        bool(len(waveforms)) and estimate_snr_db(waveforms[row]) < NOISY_SNR_DB
        for row in range(n_clips)
    ]
    best: dict[int, RoutedHypothesis] = {}
    doubtful = set(range(n_clips))
    for route in dict.fromkeys((coarse, fine)):
        rows = [row for row in sorted(doubtful) if route == fine or not noisy[row]]
        if not rows:
            continue
        hypotheses = decode(loaded, streams.rows(rows), route, request.search)
        for row, hypothesis in zip(rows, hypotheses, strict=True):
            before = best.get(row)
            if before is None or hypothesis.avg_logprob >= before.hypothesis.avg_logprob:
                best[row] = RoutedHypothesis(hypothesis=hypothesis, route=route)
            if hypothesis.avg_logprob >= SURE_LOGPROB:
                doubtful.discard(row)
    return [best[row] for row in range(n_clips)]


def estimate_snr_db(waveform: np.ndarray) -> float:
    """How far the loud frames of a recording stand above the soft ones, in dB.

    The 90th over the 10th percentile of the power of 40 ms frames: about 40 dB for a clean voice
    with pauses, near 0 for steady noise. Below half a second nothing can be said: 0.

    Args:
        waveform: [N] at 16 kHz.
    """
    n_frames = len(waveform) // SAMPLES_PER_VIDEO_FRAME
    if n_frames < 12:
        return 0.0
    samples = waveform[: n_frames * SAMPLES_PER_VIDEO_FRAME].astype(np.float64)
    power = (samples.reshape(n_frames, -1) ** 2).mean(axis=1) + 1e-12
    soft, loud = np.percentile(power, (10, 90))
    return float(10 * np.log10(loud / soft))

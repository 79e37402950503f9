"""Which compression rates to use: presets, a budget of tokens, or as fine as each piece needs.

A pair of rates costs 50 / audio rate + 25 / video rate language-model tokens a second.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from avsr.config import Modality
from avsr.errors import UsageError
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import Encoded, Hypothesis, decode
from avsr.transcription import Rates
from avsr_frontends.rates import AUDIO_ENCODER_FPS, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS

Quality = Literal["best", "balanced", "fast"]
QUALITIES: tuple[Quality, ...] = ("best", "balanced", "fast")

# Tuned on GRID s1_dev, clean and in babble: python recipes/grid/rate_auto.py --tune
SURE_LOGPROB = math.log(0.6)  # a coarse reading as sure as this stands
NOISY_SNR_DB = 6.0  # sound worse than this is read finely from the start


@dataclass(frozen=True, kw_only=True)
class RateWish:
    """What a user says about rates; everything may be left open.

    Attributes:
        audio_rate: a fixed audio rate.
        video_rate: a fixed video rate.
        quality: a preset for what is not fixed; None is "best".
        max_tokens_per_second: what both streams together may cost.
    """

    audio_rate: int | None = None
    video_rate: int | None = None
    quality: Quality | None = None
    max_tokens_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class RatedHypothesis:
    """What was read from a clip, and at what expense.

    Attributes:
        hypothesis: the text.
        rates: those it was read at.
        tokens_per_second: language-model tokens spent on a second of it, at all rates tried.
    """

    hypothesis: Hypothesis
    rates: Rates
    tokens_per_second: float = 0.0


def tokens_per_second(rates: Rates) -> float:
    """Language-model tokens that one second of input becomes."""
    audio = AUDIO_ENCODER_FPS / rates.audio if rates.audio else 0.0
    return audio + (VIDEO_FPS / rates.video if rates.video else 0.0)


def possible_rates(loaded: LoadedModel, modality: Modality, wish: RateWish) -> list[Rates]:
    """The rates that a model and a wish allow for a modality, most tokens first.

    Raises:
        UsageError: if the budget excludes all of them.
    """
    audio = [None] if modality == "video" else _allowed(loaded.rates("audio"), wish.audio_rate)
    video = [None] if modality == "audio" else _allowed(loaded.rates("video"), wish.video_rate)
    pairs = [Rates(audio=a, video=v) for a in audio for v in video]
    pairs.sort(key=lambda rates: (-tokens_per_second(rates), rates.audio or 0))
    budget = wish.max_tokens_per_second
    if budget is None:
        return pairs
    affordable = [rates for rates in pairs if tokens_per_second(rates) <= budget]
    if not affordable:
        least = tokens_per_second(pairs[-1])
        raise UsageError(
            f"at most {budget:g} tokens a second are too few: the coarsest rates ({pairs[-1]}) "
            f"need {least:.3g}",
            settings=("max_tokens_per_second",),
        )
    return affordable


def choose_rates(loaded: LoadedModel, modality: Modality, wish: RateWish) -> Rates:
    """The rates that are used throughout an input.

    "best" is the finest pair that the budget allows, "fast" the coarsest. "balanced" spends on the
    sound, which says more per token: the finest audio rate beside the coarsest video rate; of a
    single stream the rate in the middle.

    Raises:
        UsageError: if the budget excludes all rates.
    """
    possible = possible_rates(loaded, modality, wish)
    if wish.quality == "fast":
        return possible[-1]
    if wish.quality != "balanced":
        return possible[0]
    if modality != "av":
        return possible[len(possible) // 2]
    return min(possible, key=lambda rates: (rates.audio or 0, -(rates.video or 0)))


def decode_as_fine_as_needed(
    loaded: LoadedModel,
    modality: Modality,
    wish: RateWish,
    *,
    audio: Encoded | None,
    video: Encoded | None,
    waveforms: Sequence[np.ndarray],
    search: Mapping[str, Any] | None = None,
) -> list[RatedHypothesis]:
    """Read each clip of a batch at the coarsest rates, and what is doubtful again at the finest.

    Of two readings the surer one counts. Noisy sound is read finely at once.

    Args:
        loaded: the model.
        modality: which streams are used.
        wish: limits on the rates.
        audio: encoded sound, where used.
        video: encoded lips, where used.
        waveforms: the sound of each clip; empty where it is not used.
        search: further options of :func:`avsr.recognition.hypotheses.decode`.

    Returns:
        One reading for each clip.
    """
    possible = possible_rates(loaded, modality, wish)
    coarse, fine = possible[-1], possible[0]
    n_clips = len(next(part for part in (audio, video) if part is not None).frame_lengths)
    noisy = [
        bool(len(waveforms)) and estimate_snr_db(waveforms[row]) < NOISY_SNR_DB
        for row in range(n_clips)
    ]
    best: dict[int, RatedHypothesis] = {}
    doubtful = set(range(n_clips))
    spent = dict.fromkeys(range(n_clips), 0.0)
    for rates in dict.fromkeys((coarse, fine)):
        rows = [row for row in sorted(doubtful) if rates == fine or not noisy[row]]
        if not rows:
            continue
        hypotheses = decode(
            loaded,
            modality,
            audio=None if audio is None else audio.rows(rows),
            video=None if video is None else video.rows(rows),
            audio_rate=rates.audio,
            video_rate=rates.video,
            **(search or {}),
        )
        for row, hypothesis in zip(rows, hypotheses, strict=True):
            spent[row] += tokens_per_second(rates)
            before = best.get(row)
            if before is None or hypothesis.avg_logprob >= before.hypothesis.avg_logprob:
                best[row] = RatedHypothesis(hypothesis=hypothesis, rates=rates)
            if hypothesis.avg_logprob >= SURE_LOGPROB:
                doubtful.discard(row)
    return [replace(best[row], tokens_per_second=spent[row]) for row in range(n_clips)]


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


def _allowed(trained: Sequence[int], fixed: int | None) -> list[int | None]:
    return list(trained) if fixed is None else [fixed]

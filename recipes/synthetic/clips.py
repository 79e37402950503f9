"""One spoken clip: a sentence said with varied timing, between silences, at a varied level."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from speech import SAMPLE_RATE, Span, Speech, Voice, synthesise

_PAUSE_CHANCE = 0.06  # of a comma after a word
_SILENCE_S = (0.2, 1.0)  # before the first word; GRID's speakers start after about 0.6 s
_TAIL_S = 0.08  # at least this much after the last word
_LEVEL_DB = (-32.0, -18.0)  # of the speech, relative to full scale
_FLOOR_DB = (-75.0, -55.0)  # of the noise that every recording has
_MAX_RATE = 420  # words per minute


def say(
    words: Sequence[str],
    voice: Voice,
    rng: random.Random,
    *,
    spoken: Sequence[str] | None = None,
    duration_s: float | None = None,
) -> Speech:
    """Speak a sentence with a little random timing and put it into a clip.

    Args:
        words: the transcript.
        voice: the speaker; spoken faster where the sentence would not fit into ``duration_s``.
        rng: the source of all variation.
        spoken: what espeak-ng reads, as in `synthesise`.
        duration_s: length of the clip; by default as long as the sentence and its silences take.

    Raises:
        ValueError: if the sentence does not fit even at the fastest rate.
    """
    forms = list(words if spoken is None else spoken)
    for place in range(len(forms) - 1):
        if rng.random() < _PAUSE_CHANCE and forms[place][-1].isalnum():
            forms[place] += ","
    uneven = rng.choice((0.0, 0.08, 0.15))
    word_rates = [max(0.6, min(1.6, rng.gauss(1.0, uneven))) if uneven else 1.0 for _ in forms]
    silence = min(max(rng.gauss(0.58, 0.22), _SILENCE_S[0]), _SILENCE_S[1])
    while True:
        speech = synthesise(words, voice, spoken=forms, word_rates=word_rates)
        begin, end = speech.words[0].start, speech.words[-1].end
        room = float("inf") if duration_s is None else duration_s - _TAIL_S - _SILENCE_S[0] / 2
        if end - begin <= room:
            break
        if voice.rate >= _MAX_RATE:
            raise ValueError(f"{' '.join(words)!r} does not fit into {duration_s} s: use a shorter one")
        voice = replace(voice, rate=min(_MAX_RATE, round(voice.rate * 1.15) + 5))
    if duration_s is None:
        duration_s = silence + (end - begin) + rng.uniform(0.3, 0.9)
    lead = min(silence, duration_s - _TAIL_S - (end - begin))
    return _place(speech, lead - begin, round(duration_s * SAMPLE_RATE), rng)


def _place(speech: Speech, shift_s: float, n_samples: int, rng: random.Random) -> Speech:
    """The speech moved by ``shift_s`` in a clip of ``n_samples``, at a random level, over faint noise."""
    shift = round(shift_s * SAMPLE_RATE)
    clip = np.zeros(n_samples, np.float32)
    source = speech.samples[max(0, -shift) : max(0, n_samples - shift)]
    clip[max(0, shift) : max(0, shift) + len(source)] = source
    active = source[np.abs(source) > 0.02 * np.abs(source).max()]
    clip *= 10 ** (rng.uniform(*_LEVEL_DB) / 20) / float(np.sqrt(np.mean(active**2)))
    peak = float(np.abs(clip).max())
    clip *= min(1.0, 0.95 / peak)
    floor = 10 ** (rng.uniform(*_FLOOR_DB) / 20)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(n_samples)
    clip += (floor * noise).astype(np.float32)
    moved = shift / SAMPLE_RATE

    def later(spans: list[Span]) -> list[Span]:
        return [Span(span.label, span.start + moved, span.end + moved) for span in spans]

    return Speech(np.clip(clip, -1.0, 1.0), later(speech.words), later(speech.phones))

"""Speech with exact word and phone times, from espeak-ng called through ctypes.

The library and its data come in the wheel ``espeakng-loader``; nothing is installed on the system.
N audio samples, 16 kHz mono.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import espeakng_loader
import numpy as np
from scipy.signal import resample_poly

SAMPLE_RATE = 16_000  # Hz, of everything returned here

_SYNCHRONOUS = 2  # audio output mode that hands samples to the callback before Synth returns
_PHONE_EVENTS = 1  # espeak_Initialize option
_UTF8, _SSML, _PHONES = 1, 0x10, 0x100  # espeak_Synth flags; the last reads [[...]] as phones
_RATE, _PITCH, _PITCH_RANGE, _WORD_GAP = 1, 3, 4, 7  # espeak_SetParameter
_WORD_EVENT, _PHONE_EVENT = 1, 7
_NOISE_SEED = ctypes.c_long(1)
_STOPS = "pbtdkg"
_STRESS_MARKS = "',%="
_TRACT_STEP = 50  # Hz; keeps the resampling ratio a small fraction


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How one speaker talks.

    Attributes:
        variant: espeak-ng voice variant, the speaker's identity, e.g. ``"f3"``.
        accent: espeak-ng language of English, e.g. ``"en-gb-x-rp"``.
        rate: words per minute, 80 to 450.
        pitch: 0 to 100, 50 is the variant's own pitch.
        pitch_range: 0 (monotone) to 100, 50 is the variant's own.
        word_gap: pause added between words, in units of 10 ms at a normal rate.
        tract: scale of all frequencies (a shorter vocal tract is above 1), 0.8 to 1.25.
    """

    variant: str
    accent: str = "en"
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50
    word_gap: int = 0
    tract: float = 1.0

    @property
    def name(self) -> str:
        """A short label for manifests, the same for every clip of this voice."""
        return f"{self.variant}-{self.accent}-{self.pitch}-{round(self.tract * 100)}".replace(
            " ", "_"
        )


@dataclass(frozen=True)
class Span:
    """A labelled stretch of time in seconds: a word, or a phone in espeak-ng's notation."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Samples float32 [N] in -1..1, and what is said when; pauses are no phones."""

    samples: np.ndarray
    words: list[Span]
    phones: list[Span]


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # of the word, counted from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


@dataclass(frozen=True)
class _Mark:
    """One event: where in the audio, where in the text, and the phone (None for a word)."""

    sample: int
    text_position: int
    phone: str | None


def synthesise(
    words: Sequence[str],
    voice: Voice,
    *,
    spoken: Sequence[str] | None = None,
    word_rates: Sequence[float] | None = None,
) -> Speech:
    """Speak a sentence. The same arguments always give the same samples.

    Args:
        words: the transcript, one label per word.
        voice: the speaker.
        spoken: what espeak-ng reads for each word where that differs: punctuation for pauses, or
            phones in double brackets such as ``[[eI]]``. Default: the words themselves.
        word_rates: speed of each word relative to ``voice.rate``.

    Raises:
        ValueError: for an empty sentence, lists of different lengths, a voice that does not exist,
            or text of which nothing can be spoken.
    """
    spoken = words if spoken is None else spoken
    rates = [1.0] * len(words) if word_rates is None else list(word_rates)
    if not words or not len(words) == len(spoken) == len(rates):
        raise ValueError(
            f"a sentence needs words, each with a spoken form and a rate: got {len(words)} words, "
            f"{len(spoken)} spoken forms, {len(rates)} rates"
        )
    text, starts = "<speak>", []
    for form, rate in zip(spoken, rates, strict=True):
        opening = "" if rate == 1.0 else f"<prosody rate='{round(rate * 100)}%'>"
        starts.append(len(text) + len(opening))
        text += opening + escape(form) + ("</prosody> " if opening else " ")
    native, marks, native_rate = _run(text + "</speak>", voice)
    if not len(native) or not any(mark.phone for mark in marks):
        raise ValueError(f"nothing to say in {' '.join(words)!r}: write it with letters or digits")
    # Read at another rate, the same samples are a longer or shorter vocal tract.
    source_rate = round(native_rate * voice.tract / _TRACT_STEP) * _TRACT_STEP
    divisor = math.gcd(SAMPLE_RATE, source_rate)
    samples = resample_poly(native / 32768.0, SAMPLE_RATE // divisor, source_rate // divisor)
    word_spans, phone_spans = _spans(marks, list(words), starts, native, source_rate)
    return Speech(samples.astype(np.float32), word_spans, phone_spans)


def _run(text: str, voice: Voice) -> tuple[np.ndarray, list[_Mark], int]:
    """int16 samples [N] at the returned rate, and the events in order."""
    chunks: list[np.ndarray] = []
    marks: list[_Mark] = []

    def collect(wave, count, events) -> int:
        if wave and count > 0:
            chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type in (_WORD_EVENT, _PHONE_EVENT):
                phone = event.id.string.decode() if event.type == _PHONE_EVENT else None
                marks.append(_Mark(event.sample, event.text_position, phone))
            index += 1
        return 0

    callback_type = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
    )
    callback = callback_type(collect)
    # espeak-ng keeps random state that no call resets, so each sentence gets a fresh copy of the
    # library (10 ms): its audio then depends on nothing spoken before.
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        data = espeakng_loader.get_data_path().encode()
        native_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONE_EVENTS)
        if native_rate <= 0:
            raise RuntimeError(
                "espeak-ng found no data: reinstall it with pip install espeakng-loader"
            )
        library.espeak_ng_SetRandSeed(_NOISE_SEED)  # else it is the time of day
        library.espeak_SetSynthCallback(callback)
        name = f"{voice.accent}+{voice.variant}".encode()
        # A variant that does not exist would be left out in silence.
        known = (Path(espeakng_loader.get_data_path()) / "voices" / "!v" / voice.variant).exists()
        if not known or library.espeak_SetVoiceByName(name):
            raise ValueError(f"espeak-ng has no voice {voice.accent}+{voice.variant}")
        settings = {
            _RATE: voice.rate,
            _PITCH: voice.pitch,
            _PITCH_RANGE: voice.pitch_range,
            _WORD_GAP: voice.word_gap,
        }
        for parameter, value in settings.items():
            library.espeak_SetParameter(parameter, int(value), 0)
        encoded = text.encode()
        flags = _UTF8 | _SSML | _PHONES
        library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, flags, None, None)
        library.espeak_Terminate()
    finally:
        _unload(library)
    native = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    return native, marks, native_rate


def _unload(library: ctypes.CDLL) -> None:
    import _ctypes  # ctypes itself offers no way to close a library

    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


def _spans(
    marks: list[_Mark], words: list[str], text_starts: list[int], native: np.ndarray, rate: int
) -> tuple[list[Span], list[Span]]:
    """Contiguous phones and the words that they make up, in seconds at sample rate ``rate``.

    A stop's event comes when it is released, but the silent closure before it belongs to the stop:
    so a word's first phone starts with the word, and other stops where the sound falls off. (Some
    word events come one phone early: those are not used.)
    """
    phones: list[list] = []  # label, start, word index; pauses have no index
    word_event: _Mark | None = None
    for mark in marks:
        if mark.phone is None:
            word_event = mark
            continue
        label = mark.phone.lstrip(_STRESS_MARKS)
        start = mark.sample
        if word_event is not None and (
            not phones or word_event.sample > phones[-1][1] + 0.015 * rate
        ):
            start = word_event.sample
        elif label[0] in _STOPS and phones and phones[-1][2] is not None:
            start = _closure(native, phones[-1][1], start, rate)
        word_event = None
        index = sum(begin < mark.text_position for begin in text_starts) - 1
        phones.append([label, start, None if label.startswith("_") else max(index, 0)])
    ends = [start for _, start, _ in phones[1:]] + [len(native)]
    spans, owners = [], []
    for (label, start, index), end in zip(phones, ends, strict=True):
        if index is not None and end > start:
            spans.append(Span(label, start / rate, min(end, len(native)) / rate))
            owners.append(index)
    word_spans = []
    for index, word in enumerate(words):
        own = [span for span, owner in zip(spans, owners, strict=True) if owner == index]
        if own:
            word_spans.append(Span(word, own[0].start, own[-1].end))
        elif word_spans:  # espeak-ng runs some small words together: they share a span
            last = word_spans.pop()
            middle = (last.start + last.end) / 2
            word_spans += [Span(last.label, last.start, middle), Span(word, middle, last.end)]
        elif spans:
            word_spans.append(Span(word, spans[0].start, spans[0].start))
    return word_spans, spans


def _closure(native: np.ndarray, vowel_start: int, release: int, rate: int) -> int:
    """Sample at which the sound before a stop's release falls silent, else ``release``."""
    step = rate // 200  # 5 ms
    levels = [
        float(np.abs(native[at : at + step].astype(np.float32)).mean())
        for at in range(vowel_start, release - step + 1, step)
    ]
    quiet = 0
    while quiet < len(levels) - 1 and levels[-1 - quiet] < 0.1 * max(levels):
        quiet += 1
    return release - quiet * step

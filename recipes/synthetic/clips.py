"""One clip from nothing: who says what, how it sounds and how it looks."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from articulation import MouthShape, mouth_motion
from crops import render_crops
from looks import Look, Source, sample_look
from portrait import PATCH_WINDOW, portrait_still
from sentences import Split
from skin import draw_skin
from speech import SAMPLE_RATE, Span, Speech, Voice, synthesise
from video import FPS, crf_of, render_frames, write_mp4
from voices import sample_voice

Media = Literal["mp4", "crops", "audio"]

# A drawn face has no eyes: it serves for crops only, where it brings most of the variety.
FACES: dict[Media, dict[Source, int]] = {
    "mp4": {"astronaut": 3, "hopper": 2},
    "crops": {"drawn": 12, "astronaut": 5, "hopper": 3},
    "audio": {"drawn": 1},
}
_PAUSE_CHANCE = 0.06  # of a comma after a word
_LEAD_S = (0.2, 1.0)  # silence before the first word; GRID's speakers start after about 0.6 s
_TAIL_S = 0.08  # silence after the last word, at least
_LEVEL_DB = (-32.0, -18.0)  # of the speech, relative to full scale
_FLOOR_DB = (-75.0, -55.0)  # of the noise that every recording has
_MAX_RATE = 420  # words per minute


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """Everything that decides a clip.

    Attributes:
        id: its name; together with ``seed`` and ``split`` it fixes all random choices.
        words: the transcript.
        spoken: what espeak-ng reads, as in `synthesise`.
        split: whose voices to use.
        seed: of the corpus.
        media: what is made.
        duration_s: length of the clip, or None for as long as the sentence takes.
    """

    id: str
    words: tuple[str, ...]
    spoken: tuple[str, ...]
    split: Split
    seed: int
    media: Media
    duration_s: float | None


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip in memory; ``mouth`` is uint8 [T, 96, 96] for media "crops", else None."""

    plan: ClipPlan
    voice: Voice
    look: Look
    speech: Speech
    mouth: np.ndarray | None

    def record(self, path: str) -> dict[str, Any]:
        """The clip's line of the manifest; times in seconds."""
        return {
            "id": self.plan.id,
            "path": path,
            "text": " ".join(self.plan.words),
            "speaker": self.voice.name,
            "face": f"{self.look.source}-{self.look.seed:08x}",
            "words": [_rounded(span) for span in self.speech.words],
            "phones": [_rounded(span) for span in self.speech.phones],
        }


def make_clip(plan: ClipPlan, folder: Path) -> Clip:
    """Speak and film one sentence; for media "mp4", also write ``folder/<id>.mp4``.

    Raises:
        ValueError: if the sentence cannot be spoken or does not fit.
    """
    digest = hashlib.sha256(f"{plan.seed}/{plan.split}/{plan.id}".encode()).digest()
    rng = random.Random(int.from_bytes(digest[:8], "big"))
    voice = sample_voice(plan.split, rng)
    speech = say(plan.words, voice, rng, spoken=plan.spoken, duration_s=plan.duration_s)
    look = sample_look(rng, FACES[plan.media])
    mouth = None
    if plan.media == "crops":
        mouth = mouth_crops(speech, look)
    elif plan.media == "mp4":
        unfinished = folder / f".{plan.id}.part.mp4"
        write_mp4(unfinished, film(speech, look), speech.samples, crf_of(look))
        unfinished.replace(folder / f"{plan.id}.mp4")
    return Clip(plan=plan, voice=voice, look=look, speech=speech, mouth=mouth)


def motion(speech: Speech, look: Look) -> MouthShape:
    """How the mouth of ``look`` moves through a clip."""
    n_frames = int(len(speech.samples) * FPS / SAMPLE_RATE)
    return mouth_motion(speech.phones, n_frames, FPS, look.habits, look.seed)


def mouth_crops(speech: Speech, look: Look) -> np.ndarray:
    """The mouth of ``look`` that says ``speech``, uint8 [T, 96, 96]."""
    return render_crops(_patch(look), look, motion(speech, look))


def film(speech: Speech, look: Look) -> Iterator[np.ndarray]:
    """The frames of a whole face that says ``speech``, as `render_frames` yields them."""
    return render_frames(portrait_still(look), look, motion(speech, look))


def say(
    words: Sequence[str],
    voice: Voice,
    rng: random.Random,
    *,
    spoken: Sequence[str] | None = None,
    duration_s: float | None = None,
) -> Speech:
    """Speak a sentence with a little random timing, between silences, at a random level.

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
    silence = min(max(rng.gauss(0.58, 0.22), _LEAD_S[0]), _LEAD_S[1])
    while True:
        speech = synthesise(words, voice, spoken=forms, word_rates=word_rates)
        begin, end = speech.words[0].start, speech.words[-1].end
        room = float("inf") if duration_s is None else duration_s - _TAIL_S - _LEAD_S[0] / 2
        if end - begin <= room:
            break
        if voice.rate >= _MAX_RATE:
            raise ValueError(
                f"{' '.join(words)!r} does not fit into {duration_s} s: use a shorter one"
            )
        voice = replace(voice, rate=min(_MAX_RATE, round(voice.rate * 1.15) + 5))
    if duration_s is None:
        duration_s = silence + (end - begin) + rng.uniform(0.3, 0.9)
    lead = min(silence, duration_s - _TAIL_S - (end - begin))
    return _place(speech, lead - begin, round(duration_s * SAMPLE_RATE), rng)


def _place(speech: Speech, shift_s: float, n_samples: int, rng: random.Random) -> Speech:
    """A clip of ``n_samples``: the speech ``shift_s`` later, at a random level, in faint noise."""
    shift = round(shift_s * SAMPLE_RATE)
    clip = np.zeros(n_samples, np.float32)
    source = speech.samples[max(0, -shift) : max(0, n_samples - shift)]
    clip[max(0, shift) : max(0, shift) + len(source)] = source
    active = source[np.abs(source) > 0.02 * np.abs(source).max()]
    clip *= 10 ** (rng.uniform(*_LEVEL_DB) / 20) / float(np.sqrt(np.mean(active**2)))
    clip *= min(1.0, 0.95 / float(np.abs(clip).max()))
    floor = 10 ** (rng.uniform(*_FLOOR_DB) / 20)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(n_samples)
    clip += (floor * noise).astype(np.float32)
    moved = shift / SAMPLE_RATE

    def later(spans: list[Span]) -> list[Span]:
        return [Span(span.label, span.start + moved, span.end + moved) for span in spans]

    return Speech(np.clip(clip, -1.0, 1.0), later(speech.words), later(speech.phones))


def _patch(look: Look) -> np.ndarray:
    if look.source == "drawn":
        return draw_skin(look.skin, look.seed)
    return portrait_still(look)[PATCH_WINDOW]


def _rounded(span: Span) -> list[str | float]:
    return [span.label, round(span.start, 4), round(span.end, 4)]

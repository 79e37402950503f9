"""Make the sample clips of the demo: python recipes/synthetic/demo_samples.py --out demo/samples

One sentence of the test split, three times: with clean sound, in babble as loud as the speech, and
without an audio stream. And a plain English sentence.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
from clips import Clip, ClipPlan, film, make_clip, say
from looks import Look
from sentences import grid_sentences, grid_spoken
from speech import Voice
from video import write_mp4
from voices import sample_voice

from avsr.noise import mix_at_snr

_SEED = 237
_BABBLE_SEED = 256
_SNR_DB = 0.0
_TALKERS = 8
_CRF = 22  # H.264 quality
_ENGLISH = "good morning everyone, thank you for coming to our meeting today"
_ENGLISH_VOICE = Voice(variant="Annie", accent="en-us", rate=140, pitch=45, pitch_range=60)
_ENGLISH_SEED = 2


def main() -> None:
    """Write english.mp4, clean.mp4, babble_0db.mp4, silent.mp4 and manifest.jsonl."""
    parser = argparse.ArgumentParser(description="Make the sample clips of the demo.")
    parser.add_argument("--out", type=Path, default=Path("demo/samples"))
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    clean = make_clip(_plan("clean"), folder)
    samples = clean.speech.samples
    noisy = mix_at_snr(samples, _babble(len(samples)), _SNR_DB)
    noisy *= min(1.0, 0.95 / float(np.abs(noisy).max()))
    records = []
    for name, sound in (("clean", samples), ("babble_0db", noisy), ("silent", None)):
        write_mp4(folder / f"{name}.mp4", film(clean.speech, clean.look), sound, _CRF)
        record = clean.record(f"{name}.mp4") | {"id": name, "model": "grid-tiny"}
        records.append(record | ({"snr_db": _SNR_DB} if sound is noisy else {}))
    english = _english(clean.look)
    write_mp4(
        folder / "english.mp4", film(english.speech, english.look), english.speech.samples, _CRF
    )
    records.append(english.record("english.mp4") | {"model": "english"})
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")


def _plan(name: str) -> ClipPlan:
    words = next(grid_sentences("test", random.Random(_SEED)))
    return ClipPlan(
        id=name,
        words=tuple(words),
        spoken=tuple(grid_spoken(words)),
        split="test",
        seed=_SEED,
        media="mp4",
        duration_s=3.0,
    )


def _english(look: Look) -> Clip:
    """The same face with another voice and an everyday sentence."""
    spoken = tuple(_ENGLISH.split())
    words = tuple(form.strip(",") for form in spoken)
    plan = ClipPlan(
        id="english",
        words=words,
        spoken=spoken,
        split="test",
        seed=_ENGLISH_SEED,
        media="mp4",
        duration_s=None,
    )
    speech = say(words, _ENGLISH_VOICE, random.Random(_ENGLISH_SEED), spoken=spoken)
    return Clip(plan=plan, voice=_ENGLISH_VOICE, look=look, speech=speech, mouth=None)


def _babble(n_samples: int) -> np.ndarray:
    """Several other people talking at once, float32 [N]."""
    rng = random.Random(_BABBLE_SEED)
    sentences = grid_sentences("train", rng)
    total = np.zeros(n_samples, np.float32)
    for _ in range(_TALKERS):
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < 2 * n_samples:
            words = next(sentences)
            speech = say(words, sample_voice("train", rng), rng, spoken=grid_spoken(words))
            begin, end = (
                round(at * 16_000) for at in (speech.words[0].start, speech.words[-1].end)
            )
            parts.append(speech.samples[begin:end])
        talk = np.concatenate(parts)
        start = rng.randrange(n_samples // 2)
        talk = talk[start : start + n_samples]
        total += talk / float(np.sqrt(np.mean(talk**2)))
    return total


if __name__ == "__main__":
    main()

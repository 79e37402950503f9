"""By what a text of ``english`` is doubted: set on development clips, measured on others.

    python recipes/english/readability.py --grid DATA --speech SPEECH --texts sentences.tsv.gz \
        --noise NOISE --work runs/readability

reads English of people and of espeak-ng, other languages by espeak-ng, noise and music, and on
GRID's faces the words that were said there or other languages; fits the weights of sound on the
development part (``readability.json``, to be copied into the model's folder), takes them for sound
and lips too, and prints for each kind how many are doubted. Readings are kept in ``--work``.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from avsr.clips.clip import Clip
from avsr.clips.read import read_utterance
from avsr.manifest import read_manifest
from avsr_frontends.media import read_audio
from avsr_frontends.rates import SAMPLE_RATE

RECIPES = Path(__file__).parents[1]
sys.path += [str(RECIPES / "grid"), str(RECIPES / "synthetic")]
other_speech = importlib.import_module("other_speech")
judged = importlib.import_module("readability_cases")

SPEECH = {
    "dev": (("speechocean_dev", 100),),
    "test": (("speechocean_test", 120), ("native_test", 69)),
}
GRID = {"dev": (("s1_dev", 20),), "test": (("s1_test", 30), ("unseen", 17))}
N_SPOKEN = 40  # English sentences by espeak-ng
N_VOICES = 3  # for each sentence of another language
NOISE_S = 5


def cases(split: str, arguments: Any) -> Iterator[Any]:
    """All that is read of one split; the same every time."""
    rng = random.Random(split)
    draws = np.random.default_rng(rng.getrandbits(32))
    say = importlib.import_module("clips").say
    sample_voice = importlib.import_module("voices").sample_voice
    for name, most in SPEECH[split]:
        for utterance in read_manifest(arguments.speech / f"{name}.jsonl")[:most]:
            yield judged.Case(
                kind=name, readable=True, clip=read_utterance(utterance, picture=False)
            )
    free = other_speech.english_sentences(arguments.texts, split, rng)
    for _ in range(N_SPOKEN):
        clip = Clip(audio=say(next(free), sample_voice(split, rng), rng).samples)
        yield judged.Case(kind="espeak en", readable=True, clip=clip)
    foreign: list[np.ndarray] = []
    for language, sentences in other_speech.LANGUAGES[split].items():
        for sentence in sentences * N_VOICES:
            voice = replace(sample_voice(split, rng), accent=language)
            foreign.append(say(sentence.split(), voice, rng).samples)
            kind = f"espeak {language}"
            yield judged.Case(kind=kind, readable=False, clip=Clip(audio=foreign[-1]))
    for file in sorted(arguments.noise.glob("*.flac"))[split == "test" :: 2]:
        sound = read_audio(file)[: NOISE_S * SAMPLE_RATE]
        yield judged.Case(kind="noise and music", readable=False, clip=Clip(audio=sound))
    for name, most in GRID[split]:
        for utterance in read_manifest(arguments.grid / f"{name}.jsonl")[:most]:
            clip = read_utterance(utterance)
            assert clip.audio is not None
            yield judged.Case(kind=name, readable=True, clip=clip, modalities=("audio", "av"))
            other = np.resize(foreign[draws.integers(len(foreign))], len(clip.audio))
            dubbed = replace(clip, audio=other)
            kind = f"{name}, dubbed in another language"
            yield judged.Case(kind=kind, readable=False, clip=dubbed, modalities=("av",))


def fitted(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The weights of sound, for sound and lips too."""
    sound = judged.fit([row for row in rows if row["modality"] == "audio"])["audio"]
    return {"audio": sound, "av": sound}


if __name__ == "__main__":
    judged.set_and_test("english", cases, fitted)

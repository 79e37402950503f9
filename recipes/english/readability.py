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
import other_languages
from shards import read_shard
from sound import level

from avsr.clips.clip import Clip
from avsr.clips.read import read_utterance
from avsr.manifest import read_manifest
from avsr.noise import cut_noise, mix_at_snr
from avsr_frontends.media import read_audio
from avsr_frontends.rates import SAMPLE_RATE

RECIPES = Path(__file__).parents[1]
sys.path += [str(RECIPES / "grid"), str(RECIPES / "synthetic")]
other_speech = importlib.import_module("other_speech")
judged = importlib.import_module("readability_cases")
say = importlib.import_module("clips").say
sample_voice = importlib.import_module("voices").sample_voice

SPEECH = {
    "dev": (("speechocean_dev", 100),),
    "test": (("speechocean_test", 120), ("native_test", 69)),
}
GRID = {"dev": (("s1_dev", 20),), "test": (("s1_test", 30), ("unseen", 17))}
LANGUAGES = {
    "dev": {**other_speech.LANGUAGES["dev"], **other_languages.DEVELOPMENT},
    "test": other_speech.LANGUAGES["test"],
}
N_SPOKEN = 40  # English sentences by espeak-ng
N_VOICES = 2  # of espeak-ng, for each sentence of another language
NOISY = {"dev": ("speechocean_dev", "piper joe", "hibari", "recorded en"), "test": ("native_test",)}
N_NOISY = {"dev": 25, "test": 30}  # clips of each of them in noise, and as many in babble
SNR_DB = 10.0
N_BABBLE, BABBLE_OF = 20, 6  # clips of babble alone, of so many voices
N_EXCERPTS, EXCERPT_S = 4, 5  # of each recording of noise


def english(split: str, arguments: Any, rng: random.Random) -> Iterator[tuple[str, np.ndarray]]:
    """What is to be read, by its kind."""
    for name, most in SPEECH[split]:
        for utterance in read_manifest(arguments.speech / f"{name}.jsonl")[:most]:
            yield name, read_audio(utterance.path)
    free = other_speech.english_sentences(arguments.texts, split, rng)
    for _ in range(N_SPOKEN):
        yield "espeak en", say(next(free), sample_voice(split, rng), rng).samples
    yield from voices(arguments.voices / split / "english")


def foreign(split: str, arguments: Any, rng: random.Random) -> Iterator[tuple[str, np.ndarray]]:
    """Speech of other languages, by its kind."""
    for language, sentences in LANGUAGES[split].items():
        for sentence in sentences * N_VOICES:
            voice = replace(sample_voice(split, rng), accent=language)
            yield f"espeak {language}", say(sentence.split(), voice, rng).samples
    yield from voices(arguments.voices / split / "other")


def voices(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """What ``other_voices.py`` made."""
    for file in sorted(folder.glob("*.npz")):
        for sound in read_shard(file).values:
            yield file.stem, (sound / 32768).astype(np.float32)


def cases(split: str, arguments: Any) -> Iterator[Any]:
    """All that is read of one split; the same every time."""
    rng = random.Random(split)
    draws = np.random.default_rng(rng.getrandbits(32))
    noises = [
        read_audio(file) for file in sorted(arguments.noise.glob("*.flac"))[split == "test" :: 2]
    ]
    read, others = list(english(split, arguments, rng)), list(foreign(split, arguments, rng))
    people = [sound for kind, sound in read if kind == SPEECH[split][0][0]]

    def babble(n_samples: int) -> np.ndarray:
        chosen = [people[draws.integers(len(people))] for _ in range(BABBLE_OF)]
        return np.sum([cut_noise(sound / level(sound), n_samples, draws) for sound in chosen], 0)

    def case(kind: str, readable: bool, sound: np.ndarray) -> Any:
        clip = Clip(audio=sound.astype(np.float32))
        return judged.Case(kind=kind, readable=readable, clip=clip)

    for kind, sound in read:
        yield case(kind, True, sound)
    for name in NOISY[split]:
        for sound in [sound for kind, sound in read if kind == name][: N_NOISY[split]]:
            noise = cut_noise(noises[draws.integers(len(noises))], len(sound), draws)
            yield case(f"{name}, noise 10 dB", True, mix_at_snr(sound, noise, SNR_DB))
            yield case(f"{name}, babble 10 dB", True, mix_at_snr(sound, babble(len(sound)), SNR_DB))
    for kind, sound in others:
        yield case(kind, False, sound)
    for noise in noises:
        for _ in range(N_EXCERPTS):
            yield case("noise and music", False, cut_noise(noise, EXCERPT_S * SAMPLE_RATE, draws))
    for _ in range(N_BABBLE):
        yield case("babble alone", False, 0.05 * babble(EXCERPT_S * SAMPLE_RATE))
    for name, most in GRID[split]:
        for utterance in read_manifest(arguments.grid / f"{name}.jsonl")[:most]:
            clip = read_utterance(utterance)
            assert clip.audio is not None
            yield judged.Case(kind=name, readable=True, clip=clip, modalities=("audio", "av"))
            _, other = others[draws.integers(len(others))]
            dubbed = replace(clip, audio=np.resize(other, len(clip.audio)))
            kind = f"{name}, dubbed in another language"
            yield judged.Case(kind=kind, readable=False, clip=dubbed, modalities=("av",))


def fitted(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The weights of sound, for sound and lips too."""
    sound = judged.fit([row for row in rows if row["modality"] == "audio"])["audio"]
    return {"audio": sound, "av": sound}


if __name__ == "__main__":
    judged.set_and_test("english", cases, fitted)

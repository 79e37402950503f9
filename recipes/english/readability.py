"""By what a text of ``english`` is doubted: set on development clips, measured on others.

    python recipes/english/readability.py --grid GRID --speech SPEECH --texts sentences.tsv.gz \
        --noise NOISE --voices runs/other_voices --work runs/readability

reads English of people and of synthesisers, clean, in noise and in babble, other languages, noise
and music, babble alone, and on GRID's faces the words that were said there or another language;
fits the weights of sound on the development part (``readability.json``, to be copied into the
model's folder), takes them for sound and lips too, and prints for each kind how many are doubted.
Readings are kept in ``--work``; ``other_voices.py`` makes ``--voices``.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from avsr.text import spoken_form
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
WELL_READ = 0.5  # word error rate up to which an English text deserves no doubt
NATURAL = ("flite", "hibari", "piper", "recorded en")  # kinds that ``ALARMS`` is counted on
ALARMS = 0.015  # doubted share of them


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A clip of speech.

    Attributes:
        kind: of speech.
        sound: [N] float32.
        words: what is said; None where that is not known.
    """

    kind: str
    sound: np.ndarray
    words: str | None = None


def english(split: str, arguments: Any, rng: random.Random) -> Iterator[Spoken]:
    """What is to be read."""
    for name, most in SPEECH[split]:
        for utterance in read_manifest(arguments.speech / f"{name}.jsonl")[:most]:
            sound = read_audio(utterance.path)
            yield Spoken(kind=name, sound=sound, words=spoken_form(utterance.text))
    free = other_speech.english_sentences(arguments.texts, split, rng)
    for _ in range(N_SPOKEN):
        words = next(free)
        sound = say(words, sample_voice(split, rng), rng).samples
        yield Spoken(kind="espeak en", sound=sound, words=spoken_form(" ".join(words)))
    yield from voices(arguments.voices / split / "english")


def foreign(split: str, arguments: Any, rng: random.Random) -> Iterator[Spoken]:
    """Speech of other languages."""
    for language, sentences in LANGUAGES[split].items():
        for sentence in sentences * N_VOICES:
            voice = replace(sample_voice(split, rng), accent=language)
            sound = say(sentence.split(), voice, rng).samples
            yield Spoken(kind=f"espeak {language}", sound=sound)
    yield from voices(arguments.voices / split / "other")


def voices(folder: Path) -> Iterator[Spoken]:
    """What ``other_voices.py`` made; announcements come with their names in place of texts."""
    for file in sorted(folder.glob("*.npz")):
        shard = read_shard(file)
        for values, text in zip(shard.values, shard.texts, strict=True):
            words = spoken_form(text) if is_transcribed(file) else None
            yield Spoken(kind=file.stem, sound=(values / 32768).astype(np.float32), words=words)


def is_transcribed(file: Path) -> bool:
    """Whether the texts of a shard are what an English reader should write."""
    return file.parent.name == "english" and not file.stem.startswith("recorded")


def cases(split: str, arguments: Any) -> Iterator[Any]:
    """All that is read of one split; the same every time."""
    rng = random.Random(split)
    draws = np.random.default_rng(rng.getrandbits(32))
    noises = [
        read_audio(file) for file in sorted(arguments.noise.glob("*.flac"))[split == "test" :: 2]
    ]
    read, others = list(english(split, arguments, rng)), list(foreign(split, arguments, rng))
    people = [one.sound for one in read if one.kind == SPEECH[split][0][0]]

    def babble(n_samples: int) -> np.ndarray:
        chosen = [people[draws.integers(len(people))] for _ in range(BABBLE_OF)]
        return np.sum([cut_noise(sound / level(sound), n_samples, draws) for sound in chosen], 0)

    def case(kind: str, sound: np.ndarray, words: str | None = None, readable: bool = False) -> Any:
        clip = Clip(audio=sound.astype(np.float32))
        return judged.Case(kind=kind, readable=readable, clip=clip, words=words)

    for one in read:
        yield case(one.kind, one.sound, one.words, readable=True)
    for name in NOISY[split]:
        for one in [one for one in read if one.kind == name][: N_NOISY[split]]:
            n_samples = len(one.sound)
            noise = cut_noise(noises[draws.integers(len(noises))], n_samples, draws)
            for what, added in (("noise", noise), ("babble", babble(n_samples))):
                mixed = mix_at_snr(one.sound, added, SNR_DB)
                yield case(f"{name}, {what} 10 dB", mixed, one.words, readable=True)
    for one in others:
        yield case(one.kind, one.sound)
    for noise in noises:
        for _ in range(N_EXCERPTS):
            yield case("noise and music", cut_noise(noise, EXCERPT_S * SAMPLE_RATE, draws))
    for _ in range(N_BABBLE):
        yield case("babble alone", 0.05 * babble(EXCERPT_S * SAMPLE_RATE))
    for name, most in GRID[split]:
        for utterance in read_manifest(arguments.grid / f"{name}.jsonl")[:most]:
            clip = read_utterance(utterance)
            assert clip.audio is not None
            yield judged.Case(
                kind=name,
                readable=True,
                clip=clip,
                modalities=("audio", "av"),
                words=spoken_form(utterance.text),
            )
            other = others[draws.integers(len(others))].sound
            dubbed = replace(clip, audio=np.resize(other, len(clip.audio)))
            kind = f"{name}, dubbed in another language"
            yield judged.Case(kind=kind, readable=False, clip=dubbed, modalities=("av",))


def fitted(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The weights of sound, for sound and lips too.

    English of which the model makes something else is neither to be believed nor another language:
    it is left out. The bias is what doubts a share ``ALARMS`` of natural voices that are read well.
    """
    heard = [row for row in rows if row["modality"] == "audio" and (row["wer"] or 0) <= WELL_READ]
    weights: dict[str, float] = judged.fit(heard)["audio"]
    natural = [
        judged.log_odds(row, weights)
        for row in heard
        if row["signs"]["n_tokens"] and row["kind"].startswith(NATURAL)
    ]
    weights["bias"] = round(weights["bias"] - float(np.quantile(natural, ALARMS)), 3)
    return {"audio": weights, "av": weights}


if __name__ == "__main__":
    judged.set_and_test("english", cases, fitted, voices="what other_voices.py made")

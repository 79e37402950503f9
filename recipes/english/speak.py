"""Speak English sentences into shards of sound: python recipes/english/speak.py --out DIR ...

Two synthesisers: espeak-ng (all its training voices and accents; 400 times real time on one core)
and Piper's voice *joe* (one natural voice, bent to many by resampling; 15 times). Every shard
depends on its number alone; those that are there are not made again.
"""

import argparse
import gzip
import importlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from shards import write_shard
from sound import SAMPLE_RATE, change_tract, disturb

from avsr.text import spoken_form
from avsr_frontends.media import read_audio

SYNTHETIC = Path(__file__).parents[1] / "synthetic"
SHARES = {"books": 0.3, "rev": 0.25, "sgd": 0.2, "ljspeech": 0.15, "taskmaster4": 0.1}
ACCENTS = {"en-us": 6, "en": 3, "en-gb-x-rp": 2, "en-gb-scotland": 1, "en-us-nyc": 2, "en-029": 1}
PER_SHARD = 512
NOISY_SHARE = 0.4


def read_texts(file: Path) -> dict[str, list[str]]:
    """Sentences by source, from lines of source, tab, sentence (gzip)."""
    texts: dict[str, list[str]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            source, _, sentence = line.rstrip("\n").partition("\t")
            texts.setdefault(source, []).append(sentence)
    return texts


def draw_texts(texts: dict[str, list[str]], rng: random.Random) -> Iterator[str]:
    """Endless sentences, sources by their shares."""
    names = [name for name in SHARES if name in texts]
    while True:
        name = rng.choices(names, [SHARES[name] for name in names])[0]
        yield rng.choice(texts[name])


def espeak_speaker(rng: random.Random) -> Callable[[str], np.ndarray]:
    """A random voice of espeak-ng for each sentence."""
    sys.path.insert(0, str(SYNTHETIC))
    say = importlib.import_module("clips").say
    sample_voice = importlib.import_module("voices").sample_voice

    def speak(text: str) -> np.ndarray:
        accent = rng.choices(list(ACCENTS), list(ACCENTS.values()))[0]
        voice = replace(sample_voice("train", rng), accent=accent)
        return say(text.split(), voice, rng).samples

    return speak


def piper_speaker(voice_file: Path, rng: random.Random) -> Callable[[str], np.ndarray]:
    """Piper's voice at random speeds, noise scales and vocal tracts."""
    import onnxruntime  # pyright: ignore[reportMissingImports] comes with Piper
    from piper import PiperVoice, SynthesisConfig  # pyright: ignore[reportMissingImports]

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    voice = PiperVoice.load(voice_file)
    voice.session = onnxruntime.InferenceSession(
        str(voice_file), sess_options=settings, providers=["CPUExecutionProvider"]
    )

    def speak(text: str) -> np.ndarray:
        style = SynthesisConfig(
            length_scale=rng.uniform(0.75, 1.35),
            noise_scale=rng.uniform(0.4, 0.9),
            noise_w_scale=rng.uniform(0.5, 1.0),
        )
        chunks = list(voice.synthesize(text, style))
        samples = np.concatenate([chunk.audio_float_array for chunk in chunks])
        native = chunks[0].sample_rate
        tract = rng.choice((1.0, rng.uniform(0.85, 1.3)))
        return change_tract(samples, tract * native / SAMPLE_RATE)

    return speak


def read_noise(folder: Path | None) -> list[np.ndarray]:
    """All FLAC recordings of a folder, [N] float32."""
    files = [] if folder is None else sorted(folder.glob("*.flac"))
    return [read_audio(file) for file in files]


def make_shard(
    texts: dict[str, list[str]], speak: Callable[[str], np.ndarray], rng: random.Random
) -> tuple[list[np.ndarray], list[str]]:
    """Clean clips and their texts; sentences that cannot be spoken are passed over."""
    clips, spoken = [], []
    for text in draw_texts(texts, rng):
        try:
            samples = speak(text)
        except ValueError:
            continue
        if 0.5 * SAMPLE_RATE <= len(samples) <= 14 * SAMPLE_RATE:
            clips.append(samples)
            spoken.append(text)
        if len(clips) == PER_SHARD:
            return clips, spoken
    raise AssertionError("texts never end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--texts", required=True, type=Path, help="sentences.tsv.gz")
    parser.add_argument("--noise", type=Path, help="folder of noise recordings (.flac)")
    parser.add_argument("--voice", type=Path, help="Piper's .onnx file; without: espeak-ng")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--step", type=int, default=1, help="for several processes side by side")
    args = parser.parse_args()
    texts, recordings = read_texts(args.texts), read_noise(args.noise)
    kind = "espeak" if args.voice is None else "piper"
    for number in range(args.first, args.shards, args.step):
        file = args.out / f"{kind}_{number:04d}.npz"
        if file.exists():
            continue
        rng = random.Random(f"{kind}/{number}")
        speak = espeak_speaker(rng) if args.voice is None else piper_speaker(args.voice, rng)
        clips, spoken = make_shard(texts, speak, rng)
        draws = np.random.default_rng(rng.getrandbits(64))
        heard = [disturb(clip, clips, recordings, draws, NOISY_SHARE) for clip in clips]
        values = [np.rint(clip * 32767).astype(np.int16) for clip in heard]
        write_shard(file, values, [spoken_form(text) for text in spoken])
        hours = sum(map(len, clips)) / SAMPLE_RATE / 3600
        print(json.dumps({"shard": file.name, "hours": round(hours, 3)}), flush=True)


if __name__ == "__main__":
    main()

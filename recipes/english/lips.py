"""Clips with lips into shards: python recipes/english/lips.py --model DIR --name N ...

Films are clips of ``avsr prepare`` (``--clips``) or faces that are drawn while they say sentences
of espeak-ng (``--texts FILE``, or ``--texts grid`` for GRID's commands). Writes a shard of sound
and one of lips of the same name, the lips as the model's video encoder sees them (frozen). Copies
differ in everything but the words: noise, room and microphone of the sound, and, drawn apart from
them, place, sharpness and light of the pictures. In copies named *spoilt* the lips are worth
nothing: frozen, blurred, black or late. Copies in *babble* have the lips as they are and the sound
in voices as loud as it.
"""

import argparse
import importlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from shards import write_shard
from sound import babble, disturb
from speak import SYNTHETIC, draw_texts, read_noise, read_texts

from avsr import AvsrForConditionalGeneration, AvsrProcessor
from avsr.clips.clip import load_clip
from avsr.datasets import read_dataset
from avsr.noise import mix_at_snr
from avsr_frontends.media import read_audio

PER_SHARD = 256
BATCH = 16
NOISY_SHARE = 0.75
BABBLE_DB = 0.0  # signal-to-noise ratio
SPOILT = ("frozen", "blurred", "black", "late")


@dataclass(frozen=True)
class Film:
    """One clip: [N] float32 sound at 16 kHz, [T, 96, 96] uint8 mouth, and what is said."""

    sound: np.ndarray
    mouth: np.ndarray
    text: str


def prepared_films(folder: Path, speakers: Sequence[str]) -> Iterator[Film]:
    """Clips of ``avsr prepare`` that have sound and lips, of the named speakers or of all."""
    for source in read_dataset(folder).clips:
        if speakers and source.utterance.speaker not in speakers:
            continue
        clip = load_clip(source.utterance.path)
        if clip.audio is not None and clip.mouth is not None:
            yield Film(clip.audio, clip.mouth, source.utterance.text)


def drawn_films(texts: str, seed: int) -> Iterator[Film]:
    """Endless drawn faces with training voices."""
    sys.path.insert(0, str(SYNTHETIC))
    clips, looks, voices, sentences = (
        importlib.import_module(name) for name in ("clips", "looks", "voices", "sentences")
    )
    rng = random.Random(f"lips/{texts}/{seed}")
    if texts == "grid":
        pairs = ((w, sentences.grid_spoken(w)) for w in sentences.grid_sentences("train", rng))
    else:
        drawn = draw_texts(read_texts(Path(texts)), rng)
        pairs = ((words, words) for words in (text.split() for text in drawn))
    for words, spoken in pairs:
        voice, look = (
            voices.sample_voice("train", rng),
            looks.sample_look(rng, clips.FACES["crops"]),
        )
        try:
            speech = clips.say(words, voice, rng, spoken=spoken)
        except ValueError:
            continue
        if len(speech.samples) > 9 * 16_000:
            continue
        yield Film(speech.samples, clips.mouth_crops(speech, look), " ".join(words))


def distort(mouth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same lips from a little elsewhere, in other light, mirrored half of the time."""
    size = mouth.shape[1]
    scale, angle = rng.uniform(0.88, 1.14), rng.uniform(-8, 8)
    view = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, scale)
    view[:, 2] += rng.uniform(-5, 5, 2)
    levels = np.rint(255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.25)))
    blur = rng.uniform(0.3, 1.4) if rng.random() < 0.3 else 0.0
    mirrored = rng.random() < 0.5
    pictures = []
    for picture in mouth:
        moved = cv2.warpAffine(picture, view, (size, size), borderMode=cv2.BORDER_REPLICATE)
        lit = levels.astype(np.uint8)[moved]
        pictures.append(cv2.GaussianBlur(lit, (0, 0), blur) if blur else lit)
    seen = np.stack(pictures)
    return np.ascontiguousarray(seen[:, :, ::-1]) if mirrored else seen


def spoil(mouth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lips that say nothing, or not what is heard."""
    kind = SPOILT[rng.integers(len(SPOILT))]
    if kind == "frozen":
        return np.repeat(mouth[rng.integers(len(mouth))][None], len(mouth), axis=0)
    if kind == "black":
        return np.zeros_like(mouth)
    if kind == "blurred":
        strength = float(rng.uniform(4, 9))
        return np.stack([cv2.GaussianBlur(picture, (0, 0), strength) for picture in mouth])
    return np.roll(mouth, int(rng.integers(8, max(9, len(mouth) // 2))), axis=0)


class LipReader:
    """The frozen video encoder of a model."""

    def __init__(self, folder: Path) -> None:
        self.model: Any = AvsrForConditionalGeneration.from_pretrained(folder).eval()
        self.processor = AvsrProcessor.from_pretrained(folder)

    @torch.inference_mode()
    def encode(self, mouths: Sequence[np.ndarray]) -> list[np.ndarray]:
        """[T, W] float16 of each [T, 96, 96]."""
        features: list[np.ndarray] = [np.zeros(0)] * len(mouths)
        order = np.argsort([len(mouth) for mouth in mouths], kind="stable")
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            inputs = self.processor(video=[mouths[row] for row in rows])
            video = self.model.encode(**inputs).video
            for row, values, length in zip(rows, video.features, video.lengths, strict=True):
                features[row] = values[: int(length)].half().numpy()
        return features


def changes(
    kind: str, voices: Sequence[np.ndarray], recordings: Sequence[np.ndarray]
) -> Callable[[Film, np.random.Generator], Film]:
    """What a copy of a kind does to a film."""

    def change(film: Film, rng: np.random.Generator) -> Film:
        if kind == "plain":
            return film
        if kind == "babble":
            noise = babble(voices, len(film.sound), rng)
            noisy = mix_at_snr(film.sound, noise, BABBLE_DB)
            return replace(film, sound=noisy / max(1.0, float(np.abs(noisy).max())))
        sound = disturb(film.sound, voices, recordings, rng, NOISY_SHARE)
        mouth = distort(film.mouth, rng)
        if kind == "spoilt":
            mouth = spoil(mouth, rng)
        return Film(sound, mouth, film.text)

    return change


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path, help="whose video encoder is used")
    parser.add_argument("--name", required=True, help="of the shards")
    parser.add_argument("--sound", required=True, type=Path, help="folder for shards of sound")
    parser.add_argument("--lips", required=True, type=Path, help="folder for shards of lips")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", type=Path, help="folder of avsr prepare")
    source.add_argument("--texts", help="sentences.tsv.gz, or grid")
    parser.add_argument("--speakers", nargs="*", default=[], help="of --clips; all by default")
    parser.add_argument("--n", type=int, default=PER_SHARD, help="drawn films")
    parser.add_argument(
        "--kinds", nargs="+", default=["plain"], help="plain, changed, spoilt, babble"
    )
    parser.add_argument("--voices", nargs="*", type=Path, default=[], help="sound for babble")
    parser.add_argument("--noise", type=Path, help="folder of noise recordings (.flac)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    reader = LipReader(args.model)
    recordings = read_noise(args.noise)
    voices = [read_audio(path) for path in args.voices]
    films = prepared_films(args.clips, args.speakers) if args.clips else drawn_films(args.texts, 0)
    for number in range(1 << 16):
        room = PER_SHARD if args.clips else min(PER_SHARD, args.n - number * PER_SHARD)
        part = [film for film, _ in zip(films, range(room), strict=False)]
        if not part:
            break
        for copy, kind in enumerate(args.kinds):
            name = f"{args.name}_{kind}_{copy}_{number:02d}"
            lips, heard = args.lips / f"{name}.npz", args.sound / f"{name}.npz"
            if lips.exists() and heard.exists():
                continue
            rng = np.random.default_rng(list(name.encode()))
            others = voices or [film.sound for film in part]
            change = changes(kind, others, recordings)
            made = [change(film, rng) for film in part]
            texts = [film.text for film in made]
            sounds = [np.rint(film.sound.clip(-1, 1) * 32767).astype(np.int16) for film in made]
            write_shard(lips, reader.encode([film.mouth for film in made]), texts)
            write_shard(heard, sounds, texts)
            print(name, len(part), flush=True)


if __name__ == "__main__":
    main()

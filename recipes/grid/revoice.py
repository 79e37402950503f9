"""Say a prepared corpus again with other people's voices: pitch, vocal tract, breath.

    python recipes/grid/revoice.py --corpus WORK/s1_train --out WORK/s1_voices --voices 6

One real speaker teaches one voice. The WORLD vocoder takes his clips apart into pitch, spectral
envelope and aperiodicity; they are put together again at another pitch (higher, lower, flatter,
livelier), with the envelope stretched as by a shorter or longer vocal tract, and with more or
less breath. Times do not change, so word times and pictures stay right.

Needs ``pip install pyworld``, which is compiled where its makers offer no wheel.

Source: M. Morise, F. Yokomori and K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis
system for real-time applications", IEICE Transactions E99-D(7), 2016.
"""

import argparse
import importlib
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from corpus import N_SAMPLES, SAMPLE_RATE, load_corpus
from numpy.lib.format import open_memmap

pyworld: Any = importlib.import_module("pyworld")  # optional, and untyped
LOWEST_HZ, HIGHEST_HZ = 80.0, 270.0  # mean pitch of the new voices


def revoice(samples: np.ndarray, n_voices: int, seed: tuple[int, ...]) -> np.ndarray:
    """Say one clip with several other voices.

    Args:
        samples: [N] int16 at 16 kHz.
        n_voices: V.
        seed: fixes the voices.

    Returns:
        [V, N] int16; a clip without any voiced moment is returned as it is.
    """
    generator = np.random.default_rng(seed)
    wave = samples.astype(np.float64) / 32768
    coarse, times = pyworld.dio(wave, SAMPLE_RATE, f0_floor=60.0, f0_ceil=400.0)
    pitch = pyworld.stonemask(wave, coarse, times, SAMPLE_RATE)
    voiced = pitch > 0
    if not voiced.any():
        return np.repeat(samples[None], n_voices, axis=0)
    envelope = pyworld.cheaptrick(wave, pitch, times, SAMPLE_RATE)
    breath = pyworld.d4c(wave, pitch, times, SAMPLE_RATE)
    middle = float(np.exp(np.log(pitch[voiced]).mean()))
    clips = []
    for _ in range(n_voices):
        target = float(np.exp(generator.uniform(np.log(LOWEST_HZ), np.log(HIGHEST_HZ))))
        liveliness = generator.uniform(0.5, 1.6)
        new_pitch = np.where(voiced, target * (np.maximum(pitch, 1) / middle) ** liveliness, 0.0)
        # Higher voices come, on the whole, from shorter vocal tracts.
        stretch = (target / middle) ** 0.22 * float(np.exp(generator.normal(0, 0.06)))
        new_breath = np.clip(breath ** generator.uniform(0.6, 1.4), 0.0, 1.0)
        wave = pyworld.synthesize(
            new_pitch, _stretch(envelope, stretch), _stretch(new_breath, stretch), SAMPLE_RATE
        )[: len(samples)]
        peak = np.abs(wave).max()
        wave = wave * min(1.0, 0.98 / peak) if peak > 0 else wave
        clip = np.zeros(len(samples), dtype=np.int16)
        clip[: len(wave)] = np.round(wave * 32767)
        clips.append(clip)
    return np.stack(clips)


def _stretch(frames: np.ndarray, factor: float) -> np.ndarray:
    """Move every frequency of [T, K] spectra up by ``factor`` (below 1: down)."""
    n_bins = frames.shape[1]
    position = np.minimum(np.arange(n_bins) / factor, n_bins - 1.001)
    low = position.astype(np.int64)
    share = position - low
    moved = frames[:, low] * (1 - share) + frames[:, low + 1] * share
    return np.ascontiguousarray(moved)


def revoice_row(corpus: Path, n_voices: int, seed: int, row: int) -> np.ndarray:
    """The voices of clip ``row``, [V, N]; for worker processes."""
    audio = np.load(corpus / "audio.npy", mmap_mode="r")
    return revoice(np.asarray(audio[row]), n_voices, (seed, row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, type=Path, help="prepared corpus")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--voices", type=int, default=6, help="new voices of each clip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if (args.out / "manifest.jsonl").exists():
        print(f"{args.out} is there already")
        return
    args.out.mkdir(parents=True, exist_ok=True)
    lines = load_corpus(args.corpus).lines
    part = args.out / "audio.part.npy"
    audio = open_memmap(part, "w+", np.int16, (args.voices * len(lines), N_SAMPLES))
    work = partial(revoice_row, args.corpus, args.voices, args.seed)
    with ProcessPoolExecutor(args.jobs) as pool:
        for row, clips in enumerate(pool.map(work, range(len(lines)), chunksize=8)):
            audio[row :: len(lines)] = clips
            if row % 100 == 99:
                print(f"{row + 1}/{len(lines)}", flush=True)
    audio.flush()
    part.replace(args.out / "audio.npy")
    pictures = args.out / "mouth.npy"  # row u of the sound shows picture u % len(pictures)
    if (args.corpus / "mouth.npy").exists() and not pictures.exists():
        pictures.symlink_to((args.corpus / "mouth.npy").resolve())
    manifest = args.out / "manifest.part"
    with open(manifest, "w", encoding="utf-8") as file:
        for voice in range(args.voices):
            for line in lines:
                named = {"id": f"{line['id']}_voice{voice}", "speaker": f"voice{voice}"}
                file.write(json.dumps(line | named) + "\n")
    manifest.replace(args.out / "manifest.jsonl")


if __name__ == "__main__":
    main()

"""Make a synthetic audio-visual corpus: python recipes/synthetic/generate.py --out DIR --n 100

Run again after a stop, it goes on where it was. See the README beside this file.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from clips import Clip, ClipPlan, Media, make_clip
from crops import CROP_SIZE
from sentences import Split, grid_sentences, grid_spoken, read_sentences, transcript
from speech import SAMPLE_RATE
from video import FPS

_GRID_S = 3.0  # length of every clip of GRID
_ATTEMPTS = 100  # draws of a sentence that was not there before


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line (default: the process's), make the clips; the exit code."""
    options = _options(arguments)
    try:
        plans = _plans(options)
        written = _make(plans, options.out, options.jobs)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"{written} clips made, {len(plans)} in {options.out / 'manifest.jsonl'}", file=sys.stderr
    )
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--sentences", default="grid", help="grid, or a text file, one sentence a line"
    )
    parser.add_argument("--n", type=int, default=100, help="number of clips")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--duration", type=float, help="length of each clip in s (grid: 3)")
    media = parser.add_mutually_exclusive_group()
    media.add_argument("--crops", action="store_true", help="audio.npy and mouth.npy, no mp4 files")
    media.add_argument("--audio", action="store_true", help="audio.npy only")
    options = parser.parse_args(arguments)
    for name in ("n", "jobs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    if options.duration is not None and not options.duration > 0:
        parser.error(f"--duration must be above 0 seconds, got {options.duration}")
    return options


def _plans(options: argparse.Namespace) -> list[ClipPlan]:
    """What to make, the same for the same options; a larger n only adds clips."""
    media: Media = "crops" if options.crops else "audio" if options.audio else "mp4"
    duration_s = options.duration or (_GRID_S if options.sentences == "grid" else None)
    if media != "mp4" and duration_s is None:
        raise ValueError("arrays need clips of one length: add --duration SECONDS")
    if options.sentences == "grid":
        pairs = _grid_pairs(options.split, options.seed)
    else:
        pairs = _file_pairs(Path(options.sentences))
    plans = []
    for index in range(options.n):
        words, spoken = next(pairs)
        plans.append(
            ClipPlan(
                id=f"{options.split}_{options.seed}_{index:06d}",
                words=tuple(words),
                spoken=tuple(spoken),
                split=options.split,
                seed=options.seed,
                media=media,
                duration_s=duration_s,
            )
        )
    return plans


def _grid_pairs(split: Split, seed: int) -> Iterator[tuple[list[str], list[str]]]:
    """Transcripts and spoken forms of GRID sentences, without repeats while there are new ones."""
    sentences = grid_sentences(split, random.Random(f"{split}/{seed}"))
    seen: set[str] = set()
    while True:
        words = next(sentences)
        for _ in range(_ATTEMPTS):
            if " ".join(words) not in seen:
                break
            words = next(sentences)
        seen.add(" ".join(words))
        yield words, grid_spoken(words)


def _file_pairs(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Transcripts and spoken forms of a file's sentences, from the start again at its end."""
    sentences = read_sentences(path)
    while True:
        for spoken in sentences:
            pairs = [
                (word, form) for word, form in zip(transcript(spoken), spoken, strict=True) if word
            ]
            yield [word for word, _ in pairs], [form for _, form in pairs]


def _make(plans: list[ClipPlan], out: Path, jobs: int) -> int:
    """Make what is missing, in order; the number of new clips."""
    clips_folder = out / "clips"
    (clips_folder if plans[0].media == "mp4" else out).mkdir(parents=True, exist_ok=True)
    n_done = _resume(plans, out)
    write = _array_writer(plans, out) if plans[0].media != "mp4" else _file_record
    start, work = time.monotonic(), functools.partial(make_clip, folder=clips_folder)
    with open(out / "manifest.jsonl", "a", encoding="utf-8") as manifest:
        for index, clip in enumerate(_clips(work, plans[n_done:], jobs), start=n_done):
            record = write(index, clip)
            manifest.write(json.dumps(record, ensure_ascii=False) + "\n")
            manifest.flush()
            new = index + 1 - n_done
            if new % 50 == 0 or index + 1 == len(plans):
                rate = new / (time.monotonic() - start)
                print(f"{index + 1}/{len(plans)} clips, {rate:.1f} per second", file=sys.stderr)
    return len(plans) - n_done


def _clips(work: Callable[[ClipPlan], Clip], plans: list[ClipPlan], jobs: int) -> Iterator[Clip]:
    """Clips in order, made by ``jobs`` processes."""
    if jobs == 1:
        _single_thread()
        yield from map(work, plans)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_single_thread) as pool:
        batch = 16 * jobs  # the pool would otherwise hold every finished clip in memory
        for first in range(0, len(plans), batch):
            yield from pool.map(work, plans[first : first + batch])


def _single_thread() -> None:
    cv2.setNumThreads(1)


def _resume(plans: list[ClipPlan], out: Path) -> int:
    """Clips that are there already; the manifest is cut after the last whole one.

    Raises:
        ValueError: if the folder holds a corpus made with other options.
    """
    # The first plan stands for seed, split and media, the hash for the sentences.
    count = len(plans) if plans[0].media != "mp4" else 0  # arrays cannot grow
    text = json.dumps({"first": asdict(plans[0]), "count": count}, sort_keys=True)
    settings, manifest = out / "settings.json", out / "manifest.jsonl"
    if settings.exists() and settings.read_text(encoding="utf-8") != text:
        raise ValueError(f"{out} holds a corpus made with other options: give another --out")
    settings.write_text(text, encoding="utf-8")
    if not manifest.exists():
        return 0
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = 0
    for line, plan in zip(lines, plans, strict=False):
        if not line.endswith("\n") or json.loads(line)["text"] != " ".join(plan.words):
            break
        if plan.media == "mp4" and not (out / "clips" / f"{plan.id}.mp4").exists():
            break
        kept += 1
    if kept < len(lines) and kept < len(plans):
        manifest.write_text("".join(lines[:kept]), encoding="utf-8")
    return kept


def _file_record(_index: int, clip: Clip) -> dict:
    return clip.record(f"clips/{clip.plan.id}.mp4")


def _array_writer(plans: list[ClipPlan], out: Path) -> Callable[[int, Clip], dict]:
    """A function that stores a clip as row ``index`` of the arrays, and returns its record."""
    duration_s = plans[0].duration_s or 0.0
    n_samples = round(duration_s * SAMPLE_RATE)
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {"audio": (np.int16, (n_samples,))}
    if plans[0].media == "crops":
        n_frames = int(n_samples * FPS / SAMPLE_RATE)
        shapes["mouth"] = (np.uint8, (n_frames, CROP_SIZE, CROP_SIZE))
    arrays = {}
    for name, (dtype, shape) in shapes.items():
        path = out / f"{name}.npy"
        mode = "r+" if path.exists() else "w+"
        arrays[name] = np.lib.format.open_memmap(path, mode, dtype, (len(plans), *shape))

    def write(index: int, clip: Clip) -> dict:
        arrays["audio"][index] = np.rint(clip.speech.samples * 32767).astype(np.int16)
        if clip.mouth is not None:
            arrays["mouth"][index] = clip.mouth
        return clip.record("mouth.npy" if clip.mouth is not None else "audio.npy")

    return write


if __name__ == "__main__":
    sys.exit(main())

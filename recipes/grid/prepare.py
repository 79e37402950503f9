"""Turn GRID clips into a prepared corpus: mouth crops, 16 kHz sound, word times.

    python recipes/grid/prepare.py --manifest s1_train.jsonl --alignments DIR_OR_TSV --out DIR

``--manifest`` is JSON Lines with id, path (relative to the manifest), text and speaker; without
one, ``--videos DIR`` takes every video below a folder of GRID and reads the sentence off its name
(``bbaf3s`` is "bin blue at f three soon"). ``--alignments`` is a folder with GRID's own ``.align``
files, or a table (speaker, code, words as start:end:word). Both count in 1/25000 s. Clips that are
done are kept, so a run resumes; clips that fail are listed at the end and left out.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from corpus import (
    ADVERBS,
    COLOURS,
    COMMANDS,
    DIGITS,
    N_SAMPLES,
    N_VIDEO_FRAMES,
    PREPOSITIONS,
)

from avsr_frontends.landmarks import FaceTracker
from avsr_frontends.media import MediaError, read_audio
from avsr_frontends.mouth_clip import NoFaceError, extract_mouth

TICKS_PER_SECOND = 25_000  # of the alignments
SILENT = ("sil", "sp")
CLIPS_PER_JOB = 16


def sentence_of(code: str) -> str:
    """The words that a GRID file name stands for; z is the digit zero.

    Raises:
        ValueError: the name is no GRID code.
    """
    digits = dict(zip("z123456789", DIGITS, strict=True))
    slots = [{word[0]: word for word in words} for words in (COMMANDS, COLOURS, PREPOSITIONS)]
    slots += [{letter: letter for letter in "abcdefghijklmnopqrstuvxyz"}, digits]
    slots += [{word[0]: word for word in ADVERBS}]
    if len(code) != 6 or any(key not in slot for key, slot in zip(code, slots, strict=False)):
        raise ValueError(f'"{code}" is not the name of a GRID clip, such as bbaf3s')
    return " ".join(slot[key] for key, slot in zip(code, slots, strict=True))


def lines_of_folder(videos: Path) -> Iterator[dict[str, Any]]:
    """Manifest lines of the clips below a folder; the parent folder names the speaker."""
    for path in sorted(videos.rglob("*.*")):
        if path.suffix.lower() in (".mpg", ".mp4", ".avi"):
            speaker = path.parent.name
            yield {
                "id": f"{speaker}_{path.stem}",
                "path": str(path.relative_to(videos)),
                "text": sentence_of(path.stem),
                "speaker": speaker,
            }


def load_alignments(source: Path) -> dict[tuple[str, str], list[tuple[str, float, float]]]:
    """Word times in seconds by (speaker, code)."""
    table = {}
    if source.is_file():
        for line in source.read_text(encoding="utf-8").splitlines()[1:]:
            speaker, code, _, timings = line.split("\t")
            table[speaker, code] = [tuple(entry.split(":")) for entry in timings.split()]
    else:
        for path in source.rglob("*.align"):
            speaker = next(p for p in reversed(path.parts[:-1]) if p != "align")
            rows = path.read_text(encoding="utf-8").splitlines()
            table[speaker, path.stem] = [tuple(row.split()) for row in rows if row.strip()]
    return {
        key: [
            (word, int(start) / TICKS_PER_SECOND, int(end) / TICKS_PER_SECOND)
            for start, end, word in entries
            if word not in SILENT
        ]
        for key, entries in table.items()
    }


def prepare_clips(lines: list[dict[str, Any]], root: Path, out: Path) -> list[str]:
    """Write ``clips/ID.npz`` for each clip that has none yet; the failures, a line each."""
    failures = []
    with FaceTracker() as tracker:
        for line in lines:
            target = out / "clips" / f"{line['id']}.npz"
            if target.exists():
                continue
            try:
                path = root / line["path"]
                mouth = extract_mouth(path, tracker=tracker).crops
                samples = np.rint(np.clip(read_audio(path), -1, 1) * 32767).astype(np.int16)
            except (MediaError, NoFaceError) as error:
                failures.append(f"{line['id']}: {error}")
                continue
            with open(target.with_suffix(".part"), "wb") as file:
                np.savez(file, mouth=fit(mouth, N_VIDEO_FRAMES), audio=fit(samples, N_SAMPLES))
            target.with_suffix(".part").replace(target)
    return failures


def fit(array: np.ndarray, length: int) -> np.ndarray:
    """Cut, or lengthen by silence (sound) or by the last picture, along the first axis."""
    if len(array) >= length:
        return array[:length]
    mode = "constant" if array.ndim == 1 else "edge"
    padding = [(0, length - len(array))] + [(0, 0)] * (array.ndim - 1)
    return np.pad(array, padding, mode=mode)


def collect(lines: list[dict[str, Any]], out: Path) -> None:
    """Join the clips into ``audio.npy``, ``mouth.npy`` and, last, ``manifest.jsonl``."""
    size = (len(lines), N_VIDEO_FRAMES, 96, 96)
    mouth = np.lib.format.open_memmap(out / "mouth.npy", "w+", np.uint8, size)
    audio = np.zeros((len(lines), N_SAMPLES), np.int16)
    for row, line in enumerate(lines):
        with np.load(out / "clips" / f"{line['id']}.npz") as clip:
            mouth[row], audio[row] = clip["mouth"], clip["audio"]
    mouth.flush()
    np.save(out / "audio.npy", audio)
    manifest = out / "manifest.jsonl.part"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    manifest.replace(out / "manifest.jsonl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--manifest", type=Path)
    source.add_argument("--videos", type=Path)
    parser.add_argument("--alignments", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if (args.out / "manifest.jsonl").exists():
        print(f"{args.out} is prepared", file=sys.stderr)
        return 0
    (args.out / "clips").mkdir(parents=True, exist_ok=True)
    if args.manifest:
        root = args.manifest.parent
        rows = args.manifest.read_text(encoding="utf-8").splitlines()
        lines = [json.loads(row) for row in rows]
    else:
        root, lines = args.videos, list(lines_of_folder(args.videos))
    times = load_alignments(args.alignments)
    for line in lines:
        line["words"] = times.get((line["speaker"], Path(line["path"]).stem.split("_")[-1]))
    failures = [f"{line['id']}: no word times" for line in lines if not line["words"]]
    lines = [line for line in lines if line["words"]]
    jobs = [lines[i : i + CLIPS_PER_JOB] for i in range(0, len(lines), CLIPS_PER_JOB)]
    with ProcessPoolExecutor(args.jobs) as pool:
        roots, outs = [root] * len(jobs), [args.out] * len(jobs)
        for number, failed in enumerate(pool.map(prepare_clips, jobs, roots, outs), start=1):
            failures += failed
            print(f"\r{number} of {len(jobs)} batches", end="", file=sys.stderr)
    done = [line for line in lines if (args.out / "clips" / f"{line['id']}.npz").exists()]
    collect(done, args.out)
    print(f"\n{len(done)} clips in {args.out}, {len(failures)} left out", file=sys.stderr)
    for failure in failures:
        print(f"left out {failure}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

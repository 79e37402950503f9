"""Join clips of ``avsr prepare`` into a corpus of this recipe: arrays, and the times of the words.

    avsr prepare s1_train.jsonl -o WORK/s1_train_clips
    python recipes/grid/collect.py --clips WORK/s1_train_clips --alignments TABLE --out DIR

Word times are those of the clips' manifest, where ``avsr prepare`` found GRID's ``.align`` files,
or of a table (speaker, code, words, words as start:end:word in 1/25000 s). Clips that have none,
or no lips or sound, are listed and left out.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from corpus import N_SAMPLES, N_VIDEO_FRAMES

from avsr.clips.clip import load_clip
from avsr.datasets import TimedWord, read_dataset
from avsr_frontends.media import MediaError

TICKS_PER_SECOND = 25_000  # of the alignments
SILENT = ("sil", "sp")


def load_alignments(table: Path) -> dict[tuple[str, str], list[TimedWord]]:
    """Word times by (speaker, code)."""
    words = {}
    for line in table.read_text(encoding="utf-8").splitlines()[1:]:
        speaker, code, _, timings = line.split("\t")
        entries = [entry.split(":") for entry in timings.split()]
        words[speaker, code] = [
            TimedWord(
                text=word, start=int(start) / TICKS_PER_SECOND, end=int(end) / TICKS_PER_SECOND
            )
            for start, end, word in entries
            if word not in SILENT
        ]
    return words


def fit(array: np.ndarray, length: int) -> np.ndarray:
    """Cut, or lengthen by silence (sound) or by the last picture, along the first axis."""
    if len(array) >= length:
        return array[:length]
    mode = "constant" if array.ndim == 1 else "edge"
    padding = [(0, length - len(array))] + [(0, 0)] * (array.ndim - 1)
    return np.pad(array, padding, mode=mode)


def collect(
    clips: Path, alignments: dict[tuple[str, str], list[TimedWord]], out: Path
) -> list[str]:
    """Write ``audio.npy``, ``mouth.npy`` and, last, ``manifest.jsonl``.

    Returns:
        What was left out, a line each.
    """
    lines: list[dict[str, Any]] = []
    paths, left_out = [], []
    for source in read_dataset(clips).clips:
        utterance = source.utterance
        code = utterance.id.rpartition("_")[2]
        words = source.words or alignments.get((utterance.speaker or "", code), ())
        if not words or _arrays(utterance.path) is None:
            left_out.append(f"{utterance.id}: lacks sound, lips or word times")
            continue
        paths.append(utterance.path)
        lines.append(
            {
                "id": utterance.id,
                "text": utterance.text,
                "speaker": utterance.speaker,
                "words": [(word.text, word.start, word.end) for word in words],
            }
        )
    if not lines:
        sys.exit(f"{clips}: no clip has sound, lips and word times; give --alignments")
    size = (len(lines), N_VIDEO_FRAMES, 96, 96)
    mouth = np.lib.format.open_memmap(out / "mouth.npy", "w+", np.uint8, size)
    audio = np.zeros((len(lines), N_SAMPLES), np.int16)
    for row, path in enumerate(paths):
        if (arrays := _arrays(path)) is not None:
            audio[row], mouth[row] = arrays
    mouth.flush()
    np.save(out / "audio.npy", audio)
    manifest = out / "manifest.jsonl.part"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    manifest.replace(out / "manifest.jsonl")
    return left_out


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Sound and mouth crops of one clip at the corpus's length; None where one is missing."""
    try:
        clip = load_clip(path)
    except MediaError:
        return None
    if clip.audio is None or clip.mouth is None:
        return None
    samples = np.rint(np.clip(clip.audio, -1, 1) * 32767).astype(np.int16)
    return fit(samples, N_SAMPLES), fit(clip.mouth, N_VIDEO_FRAMES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", required=True, type=Path, help="folder of avsr prepare")
    parser.add_argument("--alignments", type=Path, help="table of word times")
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    if (args.out / "manifest.jsonl").exists():
        print(f"{args.out} is there already", file=sys.stderr)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    alignments = {} if args.alignments is None else load_alignments(args.alignments)
    for failure in collect(args.clips, alignments, args.out):
        print(f"left out {failure}", file=sys.stderr)


if __name__ == "__main__":
    main()

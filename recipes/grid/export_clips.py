"""Write clips of this recipe's corpora as ``avsr train`` reads them: clip files and one manifest.

    python recipes/grid/export_clips.py --corpora WORK/s1_train WORK/syn_av_train \\
        --counts 849 1200 --out WORK/adapter_clips

Of each corpus so many clips are drawn. Clips that are there are kept, so a run resumes.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from corpus import load_corpus

from avsr.clips.clip import Clip, save_clip

CLIPS_PER_JOB = 50


def export(folder: Path, rows: list[int], out: Path) -> list[dict[str, str]]:
    """Write clips of one corpus; gives their manifest lines."""
    corpus = load_corpus(folder)
    lines = []
    for row in rows:
        line = corpus.lines[row]
        clip_id = f"{folder.name}/{line['id']}"
        path = out / "clips" / f"{clip_id}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = corpus.audio[row].astype(np.float32) / 32768
            save_clip(path, Clip(audio=sound, mouth=corpus.pictures(row)), [clip_id])
        lines.append(
            {
                "id": clip_id,
                "path": path.relative_to(out).as_posix(),
                "text": line["text"],
                "speaker": line["speaker"],
            }
        )
    return lines


def draw_jobs(
    folders: list[Path], counts: list[int], seed: int
) -> Iterator[tuple[Path, list[int]]]:
    """Which rows of which corpus, a few at a time; all of a corpus where it has no more."""
    for folder, count in zip(folders, counts, strict=True):
        n_clips = len(load_corpus(folder))
        drawn = np.random.default_rng(seed).permutation(n_clips)[:count]
        rows = sorted(drawn.tolist())
        for start in range(0, len(rows), CLIPS_PER_JOB):
            yield folder, rows[start : start + CLIPS_PER_JOB]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", nargs="+", required=True, type=Path)
    parser.add_argument("--counts", nargs="+", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    folders, rows = zip(*draw_jobs(args.corpora, args.counts, args.seed), strict=True)
    with ProcessPoolExecutor(args.jobs) as pool:
        parts = list(pool.map(export, folders, rows, [args.out] * len(folders)))
    lines = [json.dumps(line) + "\n" for part in parts for line in part]
    manifest = args.out / "manifest.jsonl.part"
    manifest.write_text("".join(lines), encoding="utf-8")
    manifest.replace(args.out / "manifest.jsonl")
    print(f"{len(lines)} clips in {args.out / 'manifest.jsonl'}", file=sys.stderr)


if __name__ == "__main__":
    main()

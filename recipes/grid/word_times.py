"""Word times against the corpus' own: how far off are the starts and ends of words?

    python recipes/grid/word_times.py --manifest s1_test.jsonl --alignments alignments.tsv

compares every word that was read right. The alignments are a table with the columns ``speaker``,
``code`` (the clip's file name without ending) and, last, ``start:end:word`` in 1/25000 s.
"""

import argparse
import csv
import json
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

import avsr
from avsr.manifest import read_manifest

_TICKS = 25_000  # a second
_SILENCES = ("sil", "sp")

Timed = tuple[str, float, float]  # word, start and end in seconds


def read_alignments(path: Path) -> dict[tuple[str, str], list[Timed]]:
    """Word times of each clip, by speaker and code."""
    times: dict[tuple[str, str], list[Timed]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t"):
            if row[0] == "speaker":
                continue
            marks = [mark.split(":") for mark in row[-1].split()]
            times[row[0], row[1]] = [
                (word, int(start) / _TICKS, int(end) / _TICKS)
                for start, end, word in marks
                if word not in _SILENCES
            ]
    return times


def main() -> None:
    """Transcribe and compare."""
    parser = argparse.ArgumentParser(description="Compare word times.")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--alignments", type=Path, required=True)
    parser.add_argument("--modality", default="auto")
    parser.add_argument("--model", default="grid-tiny")
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    truth = read_alignments(arguments.alignments)
    recognizer = avsr.load(arguments.model)
    starts: list[float] = []
    ends: list[float] = []
    n_words = 0
    for utterance in read_manifest(arguments.manifest)[: arguments.limit]:
        said = truth[utterance.speaker or "s1", utterance.path.stem]
        result = recognizer.transcribe(utterance.path, modality=arguments.modality)
        words = [word for segment in result.segments for word in segment.words]
        n_words += len(said)
        matcher = SequenceMatcher(None, [word for word, _, _ in said], [w.word for w in words])
        for block in matcher.get_matching_blocks():
            for offset in range(block.size):
                _, start, end = said[block.a + offset]
                starts.append(words[block.b + offset].start - start)
                ends.append(words[block.b + offset].end - end)
    summary = {
        "modality": arguments.modality,
        "n_words": n_words,
        "n_compared": len(starts),
        "start_mae_ms": round(1000 * float(np.abs(starts).mean()), 1),
        "start_bias_ms": round(1000 * float(np.mean(starts)), 1),
        "end_mae_ms": round(1000 * float(np.abs(ends).mean()), 1),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

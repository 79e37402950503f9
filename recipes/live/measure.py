"""How late live captions are, and how right, on a recording whose words and word times are known.

    python recipes/grid/long_form.py --manifest DATA/test.jsonl --work runs/live --assemble-only
    python recipes/live/measure.py --work runs/live --alignments DATA/alignments.tsv

plays ``runs/live/long.mp4`` as if it were live, and reads it once more as a file. With ``--clock
simulated`` (the default) the time passes by the work that is measured, and waiting takes none; with
``--clock wall`` it takes as long as the recording. Writes ``results.json`` beside it.
"""

import argparse
import csv
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

import avsr
from avsr.live.clocks import SimulatedClock, WallClock
from avsr.live.sources import AsIfLive, captions
from avsr.scoring.alignment import align
from avsr.text import count_word_errors
from avsr.transcription import Word

_UNITS_PER_S = 25_000  # of GRID's alignments
_SILENCES = ("sil", "sp")
_REST_S = 0.75  # beyond a clip's end, to which its words may be moved by a reading
_MEMORY_EVERY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A word and the time of the recording at which it was committed."""

    word: Word
    at_s: float


def read_alignments(path: Path) -> dict[str, list[tuple[str, float]]]:
    """The words of each clip with the times at which they end, seconds, by the clip's id."""
    ends: dict[str, list[tuple[str, float]]] = {}
    with path.open(encoding="utf-8") as file:
        for speaker, code, _, timings in list(csv.reader(file, delimiter="\t"))[1:]:
            spans = [span.split(":") for span in timings.split()]
            ends[f"{speaker}_{code}"] = [
                (word, int(end) / _UNITS_PER_S) for _, end, word in spans if word not in _SILENCES
            ]
    return ends


def delays(
    parts: Sequence[dict[str, Any]],
    ends: dict[str, list[tuple[str, float]]],
    committed: Sequence[Committed],
) -> list[float]:
    """Seconds from the end of each word to its commitment, for those that were read rightly.

    Args:
        parts: of the recording, see ``recipes/grid/long_form.py``.
        ends: of the words of its clips.
        committed: all that was committed, in order.
    """
    found: list[float] = []
    for part in parts:
        if part["kind"] != "clip" or part["id"] not in ends:
            continue
        said = ends[part["id"]]
        heard = [
            one
            for one in committed
            if part["start"] <= (one.word.start + one.word.end) / 2 < part["end"] + _REST_S
        ]
        words = align(
            [" ".join(word for word, _ in said)], [" ".join(one.word.word for one in heard)]
        )[0].words
        n_said = n_heard = 0
        for word in words:
            if word.reference is not None and word.reference == word.hypothesis:
                found.append(heard[n_heard].at_s - (part["start"] + said[n_said][1]))
            n_said += word.reference is not None
            n_heard += word.hypothesis is not None
    return found


def in_gaps(parts: Sequence[dict[str, Any]], committed: Sequence[Committed]) -> list[str]:
    """Words that lie wholly where nobody speaks."""
    gaps = [(part["start"], part["end"]) for part in parts if part["kind"] != "clip"]
    return [
        one.word.word
        for one in committed
        if any(start <= one.word.start and one.word.end < end for start, end in gaps)
    ]


def main() -> None:
    """Play, read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, required=True, help="of recipes/grid/long_form.py")
    parser.add_argument("--alignments", type=Path, required=True)
    parser.add_argument("--model", default="grid-tiny")
    parser.add_argument("--modality", default="auto")
    parser.add_argument("--clock", choices=("simulated", "wall"), default="simulated")
    parser.add_argument("--threads", type=int, help="of PyTorch")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recording = arguments.work / "long.mp4"
    parts = json.loads((arguments.work / "parts.json").read_text())
    ends = read_alignments(arguments.alignments)
    recognizer = avsr.load(arguments.model)
    committed: list[Committed] = []
    memory_mb: list[float] = []
    levels: Counter[str] = Counter()
    load = os.getloadavg()[0]
    started = time.perf_counter()
    with recognizer.stream(modality=arguments.modality) as stream:
        clock = WallClock() if arguments.clock == "wall" else SimulatedClock()
        for now_s, update in captions(stream, AsIfLive(recording), clock):
            committed += [Committed(word=word, at_s=now_s) for word in update.committed]
            levels[update.level] += 1
            if now_s >= len(memory_mb) * _MEMORY_EVERY_S:
                memory_mb.append(psutil.Process().memory_info().rss / 2**20)
    took_s = time.perf_counter() - started
    said = " ".join(part["text"] for part in parts if part["kind"] == "clip")
    at_once = recognizer.transcribe(recording, modality=arguments.modality).text
    late = np.asarray(delays(parts, ends, committed))
    live = count_word_errors([said], [" ".join(one.word.word for one in committed)])
    once = count_word_errors([said], [at_once])
    results = {
        "model": arguments.model,
        "modality": arguments.modality,
        "clock": arguments.clock,
        "load_before": load,
        "seconds": parts[-1]["end"],
        "took_s": round(took_s, 1),
        "n_words_timed": len(late),
        "delay_median_s": round(float(np.median(late)), 2),
        "delay_p90_s": round(float(np.quantile(late, 0.9)), 2),
        "delay_longest_s": round(float(late.max()), 2),
        "wer_live": round(100 * live.wer, 1),
        "wer_at_once": round(100 * once.wer, 1),
        "errors_live": asdict(live),
        "words_in_gaps": in_gaps(parts, committed),
        "levels": {name: round(n / sum(levels.values()), 3) for name, n in levels.items()},
        "memory_mb": [round(mb) for mb in memory_mb],
    }
    name = f"live-{arguments.model}-{arguments.modality}-{arguments.clock}.json"
    (arguments.work / name).write_text(json.dumps(results, indent=2) + "\n")
    for key, value in results.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()

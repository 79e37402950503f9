"""How late live captions are, and how right, on a recording whose words and word times are known.

    python recipes/grid/long_form.py --manifest DATA/test.jsonl --work runs/live --assemble-only
    python recipes/live/measure.py --work runs/live --alignments DATA/alignments.tsv

plays ``runs/live/long.mp4`` as if it were live, and reads it once more as a file. With ``--clock
simulated`` (the default) the time passes by the work that is measured, and waiting takes none; with
``--clock wall`` it takes as long as the recording. ``--times 15`` plays it so often, as one stream:
whether anything grows or drifts. Writes ``live-....json`` beside it.
"""

import argparse
import csv
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

import avsr
from avsr.live.clocks import SimulatedClock, WallClock
from avsr.live.sources import AsIfLive, Picture, Sound, captions
from avsr.scoring.alignment import align
from avsr.text import count_word_errors
from avsr.transcription import Word

_UNITS_PER_S = 25_000  # of GRID's alignments
_SILENCES = ("sil", "sp")
_REST_S = 0.75  # beyond a clip's end, to which its words may be moved by a reading
_N_MEMORY = 12  # looks at the memory


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A word and the time of the recording at which it was committed."""

    word: Word
    at_s: float


class Again:
    """A recording that is played several times, each right behind the one before."""

    def __init__(self, path: Path, n_times: int, length_s: float) -> None:
        self._path, self._left, self._length_s = path, n_times - 1, length_s
        self._first_s, self._playing = 0.0, AsIfLive(path)

    @property
    def is_over(self) -> bool:
        """Whether the last one has been played."""
        return self._left == 0 and self._playing.is_over

    def take(self, now_s: float) -> list[Picture | Sound]:
        """What has come up to a time since the last call, in order of time."""
        if self._playing.is_over and self._left:
            self._left -= 1
            self._first_s, self._playing = self._first_s + self._length_s, AsIfLive(self._path)
        items = self._playing.take(now_s - self._first_s)
        return [replace(item, time_s=item.time_s + self._first_s) for item in items]


def moved(part: dict[str, Any], by_s: float) -> dict[str, Any]:
    """A part that begins later."""
    return {**part, "start": part["start"] + by_s, "end": part["end"] + by_s}


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
    parser.add_argument("--times", type=int, default=1, help="how often it is played")
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
    length_s = parts[-1]["end"]
    memory_every_s = arguments.times * length_s / _N_MEMORY
    load = os.getloadavg()[0]
    started = time.perf_counter()
    with recognizer.stream(modality=arguments.modality) as stream:
        clock = WallClock() if arguments.clock == "wall" else SimulatedClock()
        for now_s, update in captions(stream, Again(recording, arguments.times, length_s), clock):
            committed += [Committed(word=word, at_s=now_s) for word in update.committed]
            levels[update.level] += 1
            if now_s >= len(memory_mb) * memory_every_s:
                memory_mb.append(psutil.Process().memory_info().rss / 2**20)
                print(f"{now_s:.0f} s: {memory_mb[-1]:.0f} MB, {len(committed)} words", flush=True)
    took_s = time.perf_counter() - started
    said = " ".join(part["text"] for part in parts if part["kind"] == "clip")
    at_once = recognizer.transcribe(recording, modality=arguments.modality).text
    passes = [
        [moved(part, number * length_s) for part in parts] for number in range(arguments.times)
    ]
    late_each = [delays(one, ends, committed) for one in passes]
    late = np.concatenate(late_each)
    live = count_word_errors(
        [" ".join([said] * arguments.times)], [" ".join(one.word.word for one in committed)]
    )
    once = count_word_errors([said], [at_once])
    results = {
        "model": arguments.model,
        "modality": arguments.modality,
        "clock": arguments.clock,
        "load_before": load,
        "seconds": round(arguments.times * length_s, 1),
        "took_s": round(took_s, 1),
        "n_words_timed": len(late),
        "delay_median_s": round(float(np.median(late)), 2),
        "delay_p90_s": round(float(np.quantile(late, 0.9)), 2),
        "delay_longest_s": round(float(late.max()), 2),
        "delay_median_each_time_s": [round(float(np.median(one)), 2) for one in late_each],
        "wer_live": round(100 * live.wer, 1),
        "wer_at_once": round(100 * once.wer, 1),
        "errors_live": asdict(live),
        "words_in_gaps": in_gaps([part for one in passes for part in one], committed),
        "levels": {name: round(n / sum(levels.values()), 3) for name, n in levels.items()},
        "memory_mb": [round(mb) for mb in memory_mb],
    }
    name = f"live-{arguments.model}-{arguments.modality}-{arguments.clock}-{arguments.times}.json"
    (arguments.work / name).write_text(json.dumps(results, indent=2) + "\n")
    for key, value in results.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()

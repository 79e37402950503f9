"""Two people side by side, both talking, one heard: is the right one read?

    python recipes/grid/two_faces.py --manifest unseen.jsonl --manifest s1_test.jsonl --out DIR

composes pictures of two GRID clips with the sound of one of them, transcribes them, and prints in
how many the lips of the one who is heard were chosen, and the error rates. The cases follow from
``--seed``; run again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

import avsr
from avsr import active_speaker
from avsr.manifest import Utterance, read_manifest
from avsr.text import count_word_errors
from avsr_frontends.media import iter_video, read_audio
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS


def main() -> None:
    """Compose, transcribe, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--manifest", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for clips and results")
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="grid-tiny")
    parser.add_argument("--signals-only", action="store_true", help="compare no words")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    clips = [clip for path in options.manifest for clip in read_manifest(path)]
    recognizer = avsr.load(options.model)
    if options.signals_only:
        active_speaker.can_compare_words = lambda _loaded: False
    rows = []
    for case in range(options.n):
        chance = random.Random(f"{options.seed}/{case}")
        pair, heard = _draw(clips, chance)
        path = options.out / f"{options.seed}_{case:03d}.mp4"
        if not path.exists():
            compose(path, pair, heard)
        rows.append(_measure(recognizer, path, pair, heard))
        print(json.dumps(rows[-1]), flush=True)
    right = sum(row["right"] for row in rows)
    print(f"right face in {right} of {len(rows)} cases; two tracks in ", end="")
    print(f"{sum(row['n_faces'] == 2 for row in rows)}; lips of both (--face all): ", end="")
    for name in ("speaking", "heard lips", "other lips"):
        errors = sum(row["errors"][name] for row in rows)
        print(f"{name} WER {100 * errors / sum(row['n_words'] for row in rows):.1f} %", end="; ")
    print()


def _draw(clips: list[Utterance], chance: random.Random) -> tuple[list[Utterance], int]:
    """Two clips of different people, the first on the left, and which of them is heard."""
    while True:
        pair = chance.sample(clips, 2)
        if pair[0].speaker != pair[1].speaker:
            return pair, chance.randrange(2)


def compose(path: Path, pair: list[Utterance], heard: int) -> None:
    """Write a clip of two people side by side with the sound of one."""
    films = [list(iter_video(clip.path)) for clip in pair]
    n_frames = min(map(len, films))
    sound = read_audio(pair[heard].path)[: n_frames * SAMPLE_RATE // VIDEO_FPS]
    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as container:
        track: Any = container.add_stream("libx264", rate=VIDEO_FPS, options={"crf": "18"})
        track.height = max(film[0].shape[0] for film in films)
        track.width = sum(film[0].shape[1] for film in films)
        track.pix_fmt = "yuv420p"
        voice: Any = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index in range(n_frames):
            picture = np.zeros((track.height, track.width, 3), dtype=np.uint8)
            left = 0
            for film in films:
                height, width = film[index].shape[:2]
                picture[:height, left : left + width] = film[index]
                left += width
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(track.encode())
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound[None]), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        container.mux(voice.encode(frame))
        container.mux(voice.encode())
    part.rename(path)


def _measure(
    recognizer: avsr.Recognizer, path: Path, pair: list[Utterance], heard: int
) -> dict[str, Any]:
    spoken = recognizer.transcribe(path, face="speaking", keep_unsure=True)
    every = recognizer.transcribe(path, face="all", keep_unsure=True)
    read = {segment.face: segment.text for segment in every.segments}
    texts = {
        "speaking": (pair[heard].text, spoken.text),
        "heard lips": (pair[heard].text, read.get(heard + 1, "")),
        "other lips": (pair[1 - heard].text, read.get(2 - heard, "")),
    }
    chosen = recognizer.transcribe(path, face=heard + 1, keep_unsure=True)
    return {
        "case": path.stem,
        "clips": [clip.id for clip in pair],
        "heard": heard + 1,
        "right": _evidence(spoken) == _evidence(chosen),
        "n_faces": len(read),
        "n_words": len(pair[heard].text.split()),
        "errors": {
            name: count_word_errors([wanted], [got]).n_errors
            for name, (wanted, got) in texts.items()
        },
    }


def _evidence(result: avsr.TranscriptionResult) -> list[tuple[str, float]]:
    """What tells which lips were used: texts and their exact probabilities."""
    return [(segment.text, segment.avg_logprob) for segment in result.segments]


if __name__ == "__main__":
    main()

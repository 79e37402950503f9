"""Two people side by side, both talking, one heard: is the right one read?

    python recipes/grid/two_faces.py --manifest unseen.jsonl --manifest s1_test.jsonl --out DIR

composes pictures of two GRID clips with the sound of one of them, and prints in how many cases the
lips of the one who is heard were chosen, and the error rates of sound and lips together and of each
one's lips alone. The cases follow from ``--seed``; clips and lips are kept for the next run.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

import avsr
from avsr.atomic import atomic_file
from avsr.clips.clip import Clip, Lips
from avsr.clips.reader import ClipReader
from avsr.clips.wanted import Wanted
from avsr.manifest import Utterance, read_manifest
from avsr.recognition.active_speaker import speaking_clip
from avsr.text import count_word_errors
from avsr_frontends.landmarks import TrackReport
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
    rows = []
    for case in range(options.n):
        chance = random.Random(f"{options.seed}/{case}")
        pair, heard = _draw(clips, chance)
        path = options.out / f"{options.seed}_{case:03d}.mp4"
        if not path.exists():
            compose(path, pair, heard)
        rows.append(_measure(recognizer, path, pair, heard, not options.signals_only))
        print(json.dumps(rows[-1]), flush=True)
    right = sum(row["chosen"] == row["heard"] for row in rows)
    print(f"right face in {right} of {len(rows)} cases; two tracks in ", end="")
    print(f"{sum(row['n_faces'] == 2 for row in rows)}; ", end="")
    for name in ("speaking", "heard lips", "other lips"):
        errors = sum(row["errors"].get(name, row["n_words"]) for row in rows)
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


def _faces(path: Path) -> Clip:
    """The sound and everybody's lips, followed once and kept beside the clip."""
    kept = path.with_suffix(".npz")
    if not kept.exists():
        with ClipReader(path, Wanted(face="speaking")) as reader:
            clip = reader.read() or Clip()
        arrays = {
            f"{name}{face.person}": getattr(face, name)
            for face in clip.faces
            for name in ("mouth", "motion", "opening")
        }
        with atomic_file(kept) as file:
            np.savez_compressed(file, audio=np.asarray(clip.audio), **arrays)
    with np.load(kept) as arrays:
        people = sorted(int(name[5:]) for name in arrays if name.startswith("mouth"))
        faces = tuple(
            Lips(
                person=person,
                mouth=arrays[f"mouth{person}"],
                motion=arrays[f"motion{person}"],
                opening=arrays[f"opening{person}"],
            )
            for person in people
        )
        report = TrackReport(n_frames=len(faces[0].mouth), coverage=1.0, face_width_px=0.0)
        return Clip(audio=arrays["audio"], face=report, faces=faces)


def _measure(
    recognizer: avsr.Recognizer,
    path: Path,
    pair: list[Utterance],
    heard: int,
    compare_words: bool,
) -> dict[str, Any]:
    clip = _faces(path)
    chosen, person = speaking_clip(recognizer.loaded, clip, compare_words=compare_words)
    spoken = recognizer.transcribe(replace(chosen, faces=()), modality="av", keep_unsure=True)
    texts = {"speaking": (pair[heard].text, spoken.text)}
    for face in clip.faces[:2]:
        lips = Clip(mouth=face.mouth, face=clip.face)
        found = recognizer.transcribe(lips, modality="video", keep_unsure=True)
        whose = face.person - 1  # numbered from the left, as the pair is
        name = "heard lips" if whose == heard else "other lips"
        texts[name] = (pair[whose].text, found.text)
    return {
        "case": path.stem,
        "clips": [clip.id for clip in pair],
        "heard": heard + 1,
        "chosen": person,
        "n_faces": len(clip.faces),
        "n_words": len(pair[heard].text.split()),
        "errors": {
            name: count_word_errors([wanted], [got]).n_errors
            for name, (wanted, got) in texts.items()
        },
    }


if __name__ == "__main__":
    main()

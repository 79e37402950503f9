"""Long recordings from GRID clips: assemble one, and measure how it is transcribed.

    python recipes/grid/long_form.py --manifest s1_test.jsonl --noise NOISE --work runs/long-form

puts the clips in a random but seeded order into one video of ten minutes, with gaps between them:
silence, or recorded noise, while the picture stands still (a closed mouth) or is black. It then
transcribes the clips alone, the long video, and its first ten seconds, each run by the command line
in a process of its own, and writes ``results.json``.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from avsr.manifest import Utterance, read_manifest
from avsr.text import count_word_errors
from avsr_frontends.media import iter_video, read_audio
from avsr_frontends.rates import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS

GAP_S = (1.0, 5.0)  # shortest and longest gap
GAP_KINDS = ("silence", "noise", "black silence", "black noise")
NOISE_LEVEL = 0.05  # root mean square of a noise gap; GRID speech has about 0.05


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of an assembled video.

    Attributes:
        start: seconds.
        end: seconds.
        kind: "clip", or one of ``GAP_KINDS``.
        text: what is said; empty in gaps.
        id: of the clip; empty in gaps.
    """

    start: float
    end: float
    kind: str
    text: str = ""
    id: str = ""


def assemble(
    utterances: Sequence[Utterance],
    path: Path,
    *,
    seconds: float,
    noises: Sequence[np.ndarray] = (),
    seed: int = 0,
) -> list[Part]:
    """Write a video of clips with gaps between them.

    Args:
        utterances: the clips, all of one picture size.
        path: the video to write.
        seconds: it ends with the gap in which this length is reached, or with the last clip.
        noises: [N] float32 recordings for noisy gaps; none: white noise.
        seed: decides on order and gaps.

    Returns:
        What is where in it.
    """
    generator = np.random.default_rng(seed)
    parts: list[Part] = []
    n_frames = 0

    def add(kind: str, length: int, text: str = "", id: str = "") -> None:
        nonlocal n_frames
        start, n_frames = n_frames, n_frames + length
        times = (start / VIDEO_FPS, n_frames / VIDEO_FPS)
        parts.append(Part(start=times[0], end=times[1], kind=kind, text=text, id=id))

    with _Writer(path) as writer:
        for index in generator.permutation(len(utterances)):
            utterance = utterances[index]
            pictures = list(iter_video(utterance.path, utterance.start, utterance.end))
            sound = read_audio(utterance.path, utterance.start, utterance.end)
            kind = str(generator.choice(GAP_KINDS))
            length = round(generator.uniform(*GAP_S) * VIDEO_FPS)
            still = np.zeros_like(pictures[0]) if kind.startswith("black") else pictures[0]
            gap_sound = np.zeros(length * SAMPLES_PER_VIDEO_FRAME, dtype=np.float32)
            if kind.endswith("noise"):
                gap_sound = _noise(len(gap_sound), noises, generator)
            add(kind, length)
            writer.write([still] * length, gap_sound)
            if n_frames / VIDEO_FPS >= seconds:
                break
            add("clip", len(pictures), utterance.text, utterance.id)
            writer.write(pictures, sound)
    return parts


def _noise(
    n_samples: int, noises: Sequence[np.ndarray], generator: np.random.Generator
) -> np.ndarray:
    if not noises:
        return (NOISE_LEVEL * generator.normal(size=n_samples)).astype(np.float32)
    recording = noises[generator.integers(len(noises))]
    recording = np.tile(recording, -(-n_samples // len(recording)))
    first = generator.integers(len(recording) - n_samples + 1)
    cut = recording[first : first + n_samples]
    level = float(np.sqrt(np.mean(cut**2)))
    return (cut * NOISE_LEVEL / max(level, 1e-6)).astype(np.float32)


class _Writer:
    """An MP4 file that pictures and the sound beside them are appended to."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path), "w")
        self._video: Any = None
        self._audio: Any = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        self._n_frames = 0

    def write(self, pictures: Sequence[np.ndarray], sound: np.ndarray) -> None:
        """Append pictures [H, W, 3] and sound [N], cut or filled to their length."""
        if self._video is None:
            options = {"crf": "18", "preset": "veryfast"}
            self._video = self._container.add_stream("libx264", rate=VIDEO_FPS, options=options)
            self._video.height, self._video.width = pictures[0].shape[:2]
            self._video.pix_fmt = "yuv420p"
        n_samples = len(pictures) * SAMPLES_PER_VIDEO_FRAME
        sound = np.pad(sound[:n_samples], (0, max(0, n_samples - len(sound))))
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        frame.pts = self._n_frames * SAMPLES_PER_VIDEO_FRAME
        self._container.mux(self._audio.encode(frame))
        for picture in pictures:
            image = av.VideoFrame.from_ndarray(picture, format="rgb24")
            image.pts, image.time_base = self._n_frames, Fraction(1, VIDEO_FPS)
            self._container.mux(self._video.encode(image))
            self._n_frames += 1

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *error: object) -> None:
        for stream in (self._video, self._audio):
            if stream is not None:
                self._container.mux(stream.encode(None))
        self._container.close()


def words_in_gaps(segments: Sequence[dict[str, Any]], parts: Sequence[Part]) -> list[str]:
    """Words whose middle lies in a gap, from the segments of a JSON result."""
    gaps = [(part.start, part.end) for part in parts if part.kind != "clip"]
    found: list[str] = []
    for word in (word for segment in segments for word in segment["words"]):
        middle = (word["start"] + word["end"]) / 2
        if any(start <= middle < end for start, end in gaps):
            found.append(word["word"])
    return found


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of the command line took.

    Attributes:
        wall_s: from start to end.
        cpu_s: on all cores.
        peak_mb: largest resident memory.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


def transcribe(files: Sequence[Path], output: Path, options: Sequence[str]) -> Run:
    """Run ``avsr transcribe`` in a process of its own."""
    command = [sys.executable, "-m", "avsr", "transcribe", *map(str, files), "-f", "json"]
    started = time.monotonic()
    process = subprocess.Popen([*command, "-o", str(output), *options], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"avsr transcribe ended with code {process.returncode}")
    return Run(
        wall_s=time.monotonic() - started,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
    )


def _texts(utterances: Sequence[Utterance], folder: Path) -> Iterator[str]:
    for utterance in utterances:
        yield json.loads((folder / f"{utterance.path.stem}.json").read_text())["text"]


def main() -> None:
    """Assemble, transcribe and compare."""
    parser = argparse.ArgumentParser(description="Assemble and transcribe long videos.")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--noise", type=Path, help="folder of recordings for the noisy gaps")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--assemble-only", action="store_true", help="write the videos and stop")
    parser.add_argument("--model", default="grid-tiny")
    parser.add_argument("options", nargs="*", help="after --, passed on to avsr transcribe")
    arguments = parser.parse_args()
    options = ["--model", arguments.model, *arguments.options]
    arguments.work.mkdir(parents=True, exist_ok=True)
    recordings = sorted(arguments.noise.glob("*.flac")) if arguments.noise else []
    noises = [read_audio(path) for path in recordings]
    utterances = read_manifest(arguments.manifest)
    long, short = arguments.work / "long.mp4", arguments.work / "ten_seconds.mp4"
    parts_file = arguments.work / "parts.json"  # written after both videos
    if parts_file.is_file():
        parts = [Part(**values) for values in json.loads(parts_file.read_text())]
    else:
        seed = arguments.seed
        assemble(utterances, short, seconds=10, noises=noises, seed=seed)
        seconds = 60 * arguments.minutes
        parts = assemble(utterances, long, seconds=seconds, noises=noises, seed=seed)
        parts_file.write_text(json.dumps([asdict(part) for part in parts]))
    if arguments.assemble_only:
        return
    said = [part.text for part in parts if part.kind == "clip"]
    used = [utterance for utterance in utterances if utterance.text in set(said)]

    runs = {
        "ten_seconds": transcribe([short], arguments.work, options),
        "long": transcribe([long], arguments.work, options),
        "clips": transcribe(
            [utterance.path for utterance in used], arguments.work / "clips", options
        ),
    }
    result = json.loads((arguments.work / "long.json").read_text())
    alone = count_word_errors(
        [utterance.text for utterance in used], list(_texts(used, arguments.work / "clips"))
    )
    joined = count_word_errors([" ".join(said)], [result["text"]])
    duration_s = parts[-1].end
    summary = {
        "duration_s": duration_s,
        "n_clips": len(said),
        "wer_alone": alone.n_errors / alone.n_words,
        "wer_long": joined.n_errors / joined.n_words,
        "words_in_gaps": words_in_gaps(result["segments"], parts),
        "peak_above_ten_seconds_mb": runs["long"].peak_mb - runs["ten_seconds"].peak_mb,
        "real_time_factor": runs["long"].wall_s / duration_s,
        "cpu_factor": runs["long"].cpu_s / duration_s,
        "runs": {name: asdict(run) for name, run in runs.items()},
    }
    (arguments.work / "results.json").write_text(json.dumps(summary, indent=2) + "\n")
    for name, value in summary.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()

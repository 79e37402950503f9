"""Time and memory of the front end against the length of a file.

    python recipes/benchmark/frontend.py clip.mp4 --seconds 10,100,1000

repeats a clip to each length, then decodes sound and picture, follows the face and cuts the mouth,
each length in a process of its own on one core. Memory is that of the process above what it held
before the file was opened.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

VIDEO_FPS = 25
STRETCH_FRAMES = 30 * VIDEO_FPS  # read at a time
_KEEP_ONE_CORE = (
    "import os; hasattr(os, 'sched_setaffinity') and "
    "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
)


def repeat_clip(source: Path, target: Path, seconds: float) -> None:
    """Write a clip's packets again and again until the file is long enough; nothing is encoded."""
    with av.open(str(source)) as container:
        originals = [s for s in container.streams if s.type in ("video", "audio")]
        packets = [packet for packet in container.demux(originals) if packet.dts is not None]
        begins = min(float(packet.dts * packet.time_base) for packet in packets)
        ends = max(float((packet.dts + packet.duration) * packet.time_base) for packet in packets)
    period_s = ends - begins
    with av.open(str(target), "w") as output:
        streams: dict[int, Any] = {}
        for turn in range(math.ceil(seconds / period_s)):
            with av.open(str(source)) as container:
                originals = [s for s in container.streams if s.type in ("video", "audio")]
                for original in originals if not streams else ():
                    streams[original.index] = output.add_stream_from_template(original)
                for packet in container.demux(originals):
                    if packet.dts is None or packet.pts is None:
                        continue
                    shift = math.ceil(turn * period_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.index]
                    output.mux(packet)


def measure(path: Path) -> dict[str, float]:
    """Read one file as transcription does, stretch by stretch; called in a fresh process."""
    import cv2

    from avsr.clips.mouth_tracker import MouthTracker
    from avsr.clips.reader import ClipReader
    from avsr.timings import Timings

    cv2.setNumThreads(1)
    timings = Timings()
    tracker = MouthTracker()
    with tracker:
        before = _resident_mb()
        started = time.perf_counter(), time.process_time()
        n_frames = n_crops = 0
        with ClipReader(path, timings=timings, tracker=tracker) as reader:
            while (clip := reader.read(STRETCH_FRAMES)) is not None:
                n_frames += 0 if clip.face is None else clip.face.n_frames
                n_crops += 0 if clip.mouth is None else len(clip.mouth)
        wall_s, cpu_s = time.perf_counter() - started[0], time.process_time() - started[1]
    seconds = n_frames / VIDEO_FPS
    return {
        "seconds": round(seconds, 2),
        "wall_s": round(wall_s, 3),
        "cpu_s": round(cpu_s, 3),
        "times_real_time": round(seconds / wall_s, 2),
        "times_real_time_cpu": round(seconds / cpu_s, 2),
        "crops": n_crops,
        "memory_mb": round(_resident_mb() - before, 1),
        **{f"{stage}_s": round(spent, 3) for stage, spent in timings.seconds.items()},
    }


def _resident_mb() -> float:
    """Highest resident memory of this process so far."""
    kilobytes = 1024 if sys.platform != "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", default="10,100,1000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (float(item) for item in options.seconds.split(",")):
            path = Path(folder) / f"long{options.clip.suffix}"
            repeat_clip(options.clip, path, seconds)
            code = (
                f"{_KEEP_ONE_CORE}import json, runpy; from pathlib import Path; "
                f"names = runpy.run_path({str(Path(__file__).resolve())!r}); "
                f"print(json.dumps(names['measure'](Path({str(path)!r}))))"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
            )
            print(json.dumps(json.loads(done.stdout.splitlines()[-1])), flush=True)


if __name__ == "__main__":
    main()

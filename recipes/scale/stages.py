"""What each stage costs for a second of speech, and how much must pass to the next.

    python recipes/scale/stages.py clips/*.mp4 --model english
    python recipes/scale/stages.py clips/*.mp4 --random llama-3.2-1b,whisper-medium,avhubert-large

Seconds are those of one core that the process used (with one thread), which other work on the
machine changes little. The clips are read in one batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import av
import torch

from avsr import SearchOptions
from avsr.benchmark.sizes import random_model
from avsr.clips.clip import Clip, save_clip
from avsr.clips.mouth_tracker import MouthTracker
from avsr.clips.read import read_clip
from avsr.pretrained import load_model
from avsr.processing import fit_to_lips
from avsr.recognition.hypotheses import encode, generate, resolved_search

Result = TypeVar("Result")

_TOKENS_PER_S = 4.5  # of English text: three words a second, one and a half tokens each
_SAMPLE_BYTES = 2  # of sound


def _cpu_seconds(work: Callable[[], Result], repeats: int) -> tuple[float, Result]:
    """Median of a core's seconds, after one run that does not count, and the last result."""
    result = work()
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        result = work()
        spent.append(time.process_time() - started)
    return statistics.median(spent), result


def _picture_bytes_per_s(path: Path) -> float:
    """Of the decoded picture."""
    with av.open(str(path)) as container:
        picture = container.streams.video[0]
        return picture.width * picture.height * 1.5 * float(picture.average_rate or 25)


def _saved_bytes(clips: list[Clip]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        for number, clip in enumerate(clips):
            save_clip(Path(folder) / f"{number}.npz", clip, [])
        return sum(path.stat().st_size for path in Path(folder).iterdir())


def main() -> None:
    """Measure one model, and print a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--model", default="english")
    parser.add_argument("--random", help="sizes of a model with random weights, instead")
    parser.add_argument("--audio-rate", type=int, default=4)
    parser.add_argument("--video-rate", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tracker = MouthTracker()
    with tracker:
        front_s, clips = _cpu_seconds(
            lambda: [read_clip(path, tracker=tracker) for path in options.clips], options.repeats
        )
    speech_s = sum(clip.duration_s for clip in clips)
    pairs = [
        (fit_to_lips(clip.audio, clip.mouth), clip.mouth)
        for clip in clips
        if clip.audio is not None and clip.mouth is not None
    ]
    if len(pairs) < len(clips):
        raise SystemExit("a clip lacks sound or a face; give clips with both")
    sounds, lips = [sound for sound, _ in pairs], [mouth for _, mouth in pairs]
    if options.random:
        loaded = random_model(options.random, device="cpu", dtype="float32")
        n_tokens = round(_TOKENS_PER_S * speech_s / len(clips))  # random weights never end a text
        asked = SearchOptions(num_beams=1, ctc_weight=0.0, max_new_tokens=n_tokens)
    else:
        loaded = load_model(options.model, "cpu")
        asked = SearchOptions()
    route = loaded.route("av", options.audio_rate, options.video_rate)
    search = resolved_search(loaded, asked, [route])
    audio_s, _ = _cpu_seconds(lambda: encode(loaded, waveforms=sounds), options.repeats)
    video_s, _ = _cpu_seconds(lambda: encode(loaded, mouths=lips), options.repeats)
    streams = encode(loaded, waveforms=sounds, mouths=lips)
    words_s, _ = _cpu_seconds(lambda: generate(loaded, streams, route, search), options.repeats)
    model: Any = loaded.model
    width = model.config.text_config.hidden_size
    n_prefix = 0  # positions that hold sound or lips
    n_features = 0
    for stream in streams.present:
        rate = route.rate(stream.stream) or 1
        lengths = stream.lengths.tolist()
        n_prefix += sum(max(1, n // rate) for n in lengths)
        n_features += sum(lengths) * stream.features.shape[-1]
    number_bytes = 2  # bfloat16, as a GPU computes
    found = {
        "model": loaded.name,
        "speech_s": speech_s,
        "core_s_per_s": {
            "front end": front_s / speech_s,
            "audio encoder": audio_s / speech_s,
            "video encoder": video_s / speech_s,
            "language model": words_s / speech_s,
        },
        "bytes_per_s": {
            "files": sum(path.stat().st_size for path in options.clips) / speech_s,
            "pictures": statistics.mean(map(_picture_bytes_per_s, options.clips)),
            "crops and sound": sum(m.nbytes + _SAMPLE_BYTES * s.size for s, m in pairs) / speech_s,
            "crops and sound, as prepared": _saved_bytes(clips) / speech_s,
            "features": n_features * number_bytes / speech_s,
            "tokens": n_prefix * width * number_bytes / speech_s,
        },
        "tokens_per_s": n_prefix / speech_s,
        "beams": search.num_beams,
    }
    rounded = json.loads(json.dumps(found), parse_float=lambda text: float(f"{float(text):.4g}"))
    print(json.dumps(rounded, indent=1))


if __name__ == "__main__":
    main()

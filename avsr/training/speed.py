"""How quick a training run is and how much memory it takes, for each line of the log."""

import resource
import sys
import time
from typing import Any

import torch

from avsr_frontends.rates import AUDIO_ENCODER_FPS, SAMPLE_RATE, VIDEO_FPS


class SpeedMeter:
    """Counts what a process is given between two lines of the log."""

    def __init__(self) -> None:
        self._begin()

    def count(self, inputs: dict[str, Any]) -> None:
        """Count one batch of the objective's inputs.

        Tokens are those that the language model reads in all passes: compressed streams and text.
        """
        audio, video = inputs.get("audio_lengths"), inputs.get("video_lengths")
        audio_s = 0.0 if audio is None else float(audio.sum()) / SAMPLE_RATE
        video_s = 0.0 if video is None else float(video.sum()) / VIDEO_FPS
        self._clips_s += max(audio_s, video_s)
        n_text = int((inputs["labels"] >= 0).sum())
        for item in inputs["routes"]:
            audio_rate, video_rate = item.route.audio_rate, item.route.video_rate
            self._tokens += n_text
            self._tokens += audio_s * AUDIO_ENCODER_FPS / audio_rate if audio_rate else 0.0
            self._tokens += video_s * VIDEO_FPS / video_rate if video_rate else 0.0

    def take(self) -> tuple[float, float]:
        """Seconds of clips and tokens in each second since the last call."""
        elapsed = max(1e-9, time.perf_counter() - self._started)
        rates = self._clips_s / elapsed, self._tokens / elapsed
        self._begin()
        return rates

    def _begin(self) -> None:
        self._started = time.perf_counter()
        self._clips_s = self._tokens = 0.0


def peak_memory_gb() -> float:
    """Most memory that this process has held: on its GPU where it has one, else in all."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9

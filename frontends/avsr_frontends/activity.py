"""Evidence of speech: voice activity in the sound, and lip motion in the face points.

T counts video frames (25 per second), N audio samples at 16 kHz.
"""

import math

import numpy as np
import torch

from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from avsr_frontends.voice_detector import CHUNK, VoiceMemory, voice_detector

_UPPER_INNER_LIP = (61, 62, 63)  # of the 68 points, right to left
_LOWER_INNER_LIP = (67, 66, 65)
_OUTER_EYE_CORNERS = (36, 45)
_MOTION_REACH = 3  # frames each side over which lip motion is averaged: a quarter second in all


def voice_probabilities(waveform: np.ndarray) -> np.ndarray:
    """How surely a voice is heard at each moment, by the Silero detector.

    Args:
        waveform: [N] 16 kHz mono, nominally in [-1, 1].

    Returns:
        [T] float32, 0 to 1, one for each started video frame (25 per second).
    """
    n_frames = math.ceil(len(waveform) / SAMPLES_PER_VIDEO_FRAME)
    if n_frames == 0:
        return np.zeros(0, dtype=np.float32)
    peak = float(np.abs(waveform).max())
    samples = torch.as_tensor(np.asarray(waveform, dtype=np.float32)) / max(1.0, peak)
    probabilities = voice_detector()(samples).numpy()
    middles = (np.arange(n_frames) + 0.5) * SAMPLES_PER_VIDEO_FRAME
    chunks = np.minimum((middles // CHUNK).astype(int), len(probabilities) - 1)
    return probabilities[chunks].astype(np.float32)


class VoiceListener:
    """How surely a voice is heard, in sound that comes bit by bit."""

    def __init__(self) -> None:
        self._memory = VoiceMemory()
        self._waiting = np.zeros(0, dtype=np.float32)
        self._probabilities = [0.0]  # of each judged chunk, behind one for what is not judged yet
        self._n_chunks = self._n_frames = 0

    def add(self, samples: np.ndarray) -> np.ndarray:
        """Listen on.

        Args:
            samples: [640 n] 16 kHz mono, nominally in [-1, 1].

        Returns:
            [n] float32, 0 to 1, for each of these video frames as :func:`voice_probabilities`; for
            the newest that of the last 32 ms that could be judged.
        """
        self._waiting = np.concatenate([self._waiting, np.clip(samples, -1, 1)])
        n_chunks = len(self._waiting) // CHUNK
        judged = torch.as_tensor(self._waiting[: n_chunks * CHUNK], dtype=torch.float32)
        self._waiting = self._waiting[n_chunks * CHUNK :]
        self._probabilities += voice_detector().hear_on(judged, self._memory).tolist()
        self._n_chunks += n_chunks
        n_new = len(samples) // SAMPLES_PER_VIDEO_FRAME
        middles = (np.arange(n_new) + self._n_frames + 0.5) * SAMPLES_PER_VIDEO_FRAME
        self._n_frames += n_new
        back = self._n_chunks - (middles // CHUNK).astype(int)  # 1 for the newest chunk
        places = np.clip(len(self._probabilities) - back, 0, len(self._probabilities) - 1)
        found = np.asarray(self._probabilities, dtype=np.float32)[places]
        self._probabilities = self._probabilities[-4:]
        return found


def lip_motion(points68: np.ndarray) -> np.ndarray:
    """Measure how fast the mouth opens and closes.

    The opening is the mean distance between the inner edges of the lips over the distance between
    the outer eye corners, so it depends neither on the face's size nor on its tilt. Speech shows
    as values around 0.1 to 0.6 per second, a still mouth as less than about 0.05.

    Args:
        points68: [T, 68, 2] in pixels, without gaps.

    Returns:
        [T] float32, absolute change of the opening per second, averaged over a quarter second.
    """
    opening = mouth_opening(points68)
    if len(opening) < 2:
        return np.zeros(len(opening), dtype=np.float32)
    speed = np.abs(np.gradient(opening)) * VIDEO_FPS
    total = np.concatenate([[0.0], np.cumsum(speed)])
    times = np.arange(len(speed))
    first = np.maximum(times - _MOTION_REACH, 0)
    last = np.minimum(times + _MOTION_REACH + 1, len(speed))
    return ((total[last] - total[first]) / (last - first)).astype(np.float32)


def mouth_opening(points68: np.ndarray) -> np.ndarray:
    """Measure the gap between the lips relative to the width between the outer eye corners.

    Args:
        points68: [T, 68, 2] in pixels.

    Returns:
        [T] float64, 0 for a closed mouth, about 0.1 to 0.5 for an open one.
    """
    points = np.asarray(points68, dtype=np.float64)
    gaps = points[:, list(_LOWER_INNER_LIP)] - points[:, list(_UPPER_INNER_LIP)]  # [T, 3, 2]
    right, left = (points[:, corner] for corner in _OUTER_EYE_CORNERS)
    width = np.linalg.norm(left - right, axis=-1)
    return np.linalg.norm(gaps, axis=-1).mean(axis=-1) / np.maximum(width, 1e-6)

"""Evidence that somebody speaks: a voice in the sound, and lips that move.

Everything is on one grid of T video frames, 25 per second.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from avsr.clips.clip import Clip
from avsr.route import Modality
from avsr_frontends.activity import voice_probabilities
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME

VOICE_ON = 0.5  # probability from which a voice is heard
_VOICE_STAYS = 0.25  # and down to which it goes on
LIPS_MOVE = 0.08  # openings a second from which lips speak
_LIPS_STAY = 0.05  # and down to which they go on
_HINT = 0.2  # probability of a voice below which there is none, even in noise
_SHORTEST = 3  # frames: a shorter sign of speech is none
PAUSE = 15  # frames, 0.6 s: a shorter pause is part of what is said
_MOVING_SHARE = 0.25  # of the frames of a sentence, at least, show moving lips
_USABLE_FACE = 0.5  # share of frames that must show the face for its lips to say anything


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Signs of speech through one clip.

    Attributes:
        voice: [T] probability of a voice; None without sound.
        motion: [T] lip motion, NaN where no face is seen; None where that is not known.
    """

    voice: np.ndarray | None = None
    motion: np.ndarray | None = None

    @property
    def n_frames(self) -> int:
        """T."""
        return max((len(x) for x in (self.voice, self.motion) if x is not None), default=0)

    def cut(self, first: int, last: int) -> "Evidence":
        """The evidence of some frames."""
        return Evidence(
            voice=None if self.voice is None else self.voice[first:last],
            motion=None if self.motion is None else self.motion[first:last],
        )

    def sees_face(self) -> bool:
        """Whether the face shows in enough frames for its lips to say something."""
        if self.motion is None or len(self.motion) == 0:
            return False
        return float(np.isfinite(self.motion).mean()) >= _USABLE_FACE

    def lips_speak(self) -> bool:
        """Whether a face shows, and its lips move as speaking lips do."""
        return self.sees_face() and self._moving_share() >= _MOVING_SHARE

    def lips_rest(self) -> bool:
        """Whether a face shows whose lips do not speak."""
        return self.sees_face() and self._moving_share() < _MOVING_SHARE

    def any_sign(self, modality: Modality) -> bool:
        """Whether anything that a modality uses hints at speech, or cannot tell."""
        if modality != "video" and self.voice is not None and (self.voice >= _HINT).any():
            return True
        if modality == "audio":
            return False
        return self.motion is None or bool(self._moving().any())

    def no_speech_prob(self, modality: Modality) -> float:
        """0 to 1, how little of what is used shows speech: the stronger of the two signs counts."""
        signs: list[float] = []
        if modality != "video" and self.voice is not None and len(self.voice):
            signs.append(float(np.quantile(self.voice, 0.9)))
        if modality != "audio" and self.motion is None:
            signs.append(0.5)  # lips of which nothing is known
        elif modality != "audio" and self.sees_face():
            signs.append(min(1.0, self._moving_share() / (2 * _MOVING_SHARE)))
        return 1.0 - max(signs) if signs else 0.0

    def speaking(self, modality: Modality) -> list[tuple[int, int]]:
        """Stretches of speech by what a modality uses, short pauses included.

        Returns:
            (first, last + 1) frames, in order, apart by more than a short pause.
        """
        signs = np.zeros(self.n_frames, dtype=bool)
        if modality != "video":
            signs |= _filled(self._voiced(), self.n_frames)
        if modality != "audio":
            signs |= _filled(self._moving(), self.n_frames)
        spans = _without_pauses(_spans(signs), PAUSE)
        return [(first, last) for first, last in spans if last - first >= _SHORTEST]

    def _voiced(self) -> np.ndarray:
        if self.voice is None:
            return np.zeros(0, dtype=bool)
        return _with_hysteresis(self.voice, VOICE_ON, _VOICE_STAYS)

    def _moving(self) -> np.ndarray:
        if self.motion is None:
            return np.zeros(0, dtype=bool)
        return _with_hysteresis(np.nan_to_num(self.motion), LIPS_MOVE, _LIPS_STAY)

    def _moving_share(self) -> float:
        assert self.motion is not None
        return float(self._moving().sum() / max(1, np.isfinite(self.motion).sum()))


def gather_evidence(clip: Clip) -> Evidence:
    """Listen for a voice; the lips have been measured when the clip was read."""
    voice = None
    if clip.audio is not None:
        n_frames = math.ceil(len(clip.audio) / SAMPLES_PER_VIDEO_FRAME)
        silent = clip.is_silent
        voice = np.zeros(n_frames, np.float32) if silent else voice_probabilities(clip.audio)
    return Evidence(voice=voice, motion=clip.lip_motion)


def _with_hysteresis(values: np.ndarray, on: float, stays: float) -> np.ndarray:
    """[T] bool: runs of at least ``stays`` that reach ``on`` somewhere."""
    marked = np.zeros(len(values), dtype=bool)
    for first, last in _spans(values >= stays):
        marked[first:last] = values[first:last].max() >= on
    return marked


def _filled(mask: np.ndarray, length: int) -> np.ndarray:
    return np.pad(mask[:length], (0, max(0, length - len(mask))))


def _spans(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _without_pauses(spans: list[tuple[int, int]], pause: int) -> list[tuple[int, int]]:
    """Join spans that are apart by less than ``pause`` frames."""
    if not spans:
        return []
    breaks = [i for i, (a, b) in enumerate(pairwise(spans), start=1) if b[0] - a[1] >= pause]
    groups = pairwise([0, *breaks, len(spans)])
    return [(spans[first][0], spans[last - 1][1]) for first, last in groups]

"""The part of a live recording that is still looked at, and where a sentence in it ends.

T counts video frames, 25 per second; sound has 640 samples for each.
"""

from dataclasses import dataclass

import numpy as np

from avsr.clips.clip import Clip
from avsr.recognition.segmentation import Span, speech_spans
from avsr.recognition.speech_evidence import Evidence
from avsr.route import Modality
from avsr_frontends.live_lips import Mouths
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME

__all__ = ["KEPT_BEFORE", "LiveWindow", "Sentence", "next_sentence"]

KEPT_BEFORE = 18  # frames of rest that are kept: speech may begin, and its pause belongs to it


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """Where somebody speaks.

    Attributes:
        span: first frame and last + 1.
        is_over: a pause has come after it, or it has become too long.
    """

    span: Span
    is_over: bool


class LiveWindow:
    """The newest frames of a recording; those that are done with are dropped.

    Attributes:
        first: number of the first frame that is held.
        pending: lips that may still be cut better, behind the others.
    """

    def __init__(self) -> None:
        self.first = 0
        self._sound = np.zeros(0, dtype=np.float32)
        self._voice = np.zeros(0, dtype=np.float32)
        self.pending = Mouths.unseen(0)
        self._mouth, self._motion = self.pending.mouth, self.pending.motion

    @property
    def n_frames(self) -> int:
        """T, frames that are held with sound and lips."""
        return min(len(self._voice), len(self._motion) + len(self.pending.motion))

    def hear(self, sound: np.ndarray, voice: np.ndarray) -> None:
        """Append sound, [640 n], and the probability of a voice, [n]."""
        self._sound = np.concatenate([self._sound, sound])
        self._voice = np.concatenate([self._voice, voice])

    def see(self, settled: Mouths, pending: Mouths) -> None:
        """Append final lips, and put others behind them that will come again."""
        self._mouth = np.concatenate([self._mouth, settled.mouth])
        self._motion = np.concatenate([self._motion, settled.motion])
        self.pending = pending

    def clip(self) -> Clip:
        """All that is held, pending lips included."""
        n_frames = self.n_frames
        mouth = np.concatenate([self._mouth, self.pending.mouth])[:n_frames]
        motion = np.concatenate([self._motion, self.pending.motion])[:n_frames]
        sound = self._sound[: n_frames * SAMPLES_PER_VIDEO_FRAME]
        return Clip(audio=sound, mouth=mouth, lip_motion=motion)

    def evidence(self) -> Evidence:
        """Its signs of speech."""
        return Evidence(voice=self._voice[: self.n_frames], motion=self.clip().lip_motion)

    def drop(self, n_frames: int) -> None:
        """Forget the first frames, as far as their lips are final."""
        n_frames = max(0, min(n_frames, len(self._motion), len(self._voice)))
        self.first += n_frames
        self._sound = self._sound[n_frames * SAMPLES_PER_VIDEO_FRAME :].copy()
        self._voice = self._voice[n_frames:].copy()
        self._mouth, self._motion = self._mouth[n_frames:].copy(), self._motion[n_frames:].copy()


def next_sentence(
    clip: Clip, evidence: Evidence, modality: Modality, longest_s: float, is_last: bool
) -> Sentence | None:
    """The first stretch of speech in what is held, by the rule that cuts recordings.

    Args:
        clip: what is held.
        evidence: its signs of speech.
        modality: what is read; only its signs count.
        longest_s: seconds after which it is cut at a quiet moment.
        is_last: nothing comes after it.

    Returns:
        It with up to 0.72 s of rest around it; None where nobody speaks.
    """
    spans = speech_spans(clip, evidence, modality, longest_s)
    if not spans:
        return None
    is_over = is_last or len(spans) > 1 or spans[0][1] < clip.n_frames
    return Sentence(span=spans[0], is_over=is_over)

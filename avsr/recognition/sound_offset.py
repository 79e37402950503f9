"""How far the sound is out of step with the lips, by the tokens that both show.

Loudness against mouth opening, as in :mod:`avsr.recognition.active_speaker`, does not settle this
on sentences of three seconds. The CTC heads do: each says which token is heard, or seen, at which
moment; where one sequence is moved against the other, their agreement has a peak at the offset.
Models without both heads, or with two that say unlike units, give no evidence.

Lags are video frames, 25 per second; T counts such frames, K tokens.
"""

import numpy as np
import torch

from avsr.model_parts.ctc import CtcScores, ctc_heads, ctc_scores
from avsr.model_parts.streams import EncodedStream
from avsr.pretrained import LoadedModel
from avsr_frontends.rates import VIDEO_FPS

WARNED_S = 0.2  # from a larger offset on, readers of both streams begin to suffer
MISLEADING_S = 0.3  # from here on the sound alone is read
_LAGS = np.arange(-2 * VIDEO_FPS, 2 * VIDEO_FPS + 1)
_HEARD, _SEEN = 0.2, 0.05  # probability that a token must reach somewhere to count
_BLUR = 5  # frames
_PEAK = 3.0  # agreement at the best lag that is evidence: frames on which both are of one mind
_RIVAL = 0.35  # of it, at most, at any lag that is farther away than the peak is wide
_WIDTH = 5  # frames
_TOGETHER = 3  # frames between sound and lips that go together


class OffsetMeter:
    """Gathers evidence of one input's offset, piece by piece."""

    def __init__(self) -> None:
        self._agreement = np.zeros(len(_LAGS))

    @property
    def offset_s(self) -> float | None:
        """Seconds by which the sound is later than the lips; None without clear evidence."""
        best = int(self._agreement.argmax())
        peak = float(self._agreement[best])
        rivals = self._agreement[np.abs(_LAGS - _LAGS[best]) > _WIDTH]
        if peak < _PEAK or float(rivals.max()) > _RIVAL * peak:
            return None
        return float(_LAGS[best]) / VIDEO_FPS

    @property
    def is_misleading(self) -> bool:
        """Whether the lips would mislead whoever reads them beside the sound."""
        return abs(self.offset_s or 0.0) >= MISLEADING_S

    @torch.inference_mode()
    def add(
        self, loaded: LoadedModel, audio: EncodedStream | None, video: EncodedStream | None
    ) -> None:
        """Compare the encoded sound and lips of some pieces."""
        if audio is None or video is None or not all(ctc_heads(loaded.model).values()):
            return
        heard, seen = ctc_scores(loaded.model, audio), ctc_scores(loaded.model, video)
        if heard.units is not seen.units:
            return
        for row in range(len(audio.features)):
            self._agreement += agreement(_probabilities(heard, row), _probabilities(seen, row))


def agreement(heard: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How well two sequences of token probabilities agree at each lag.

    Args:
        heard: [T, K] probabilities of the tokens in the sound, without the blank.
        seen: [T, K] likewise on the lips; the lengths may differ.

    Returns:
        [101] for lags of -2 s to 2 s, the sound being later at positive ones.
    """
    counted = (heard.max(axis=0) > _HEARD) & (seen.max(axis=0) > _SEEN)
    n_frames = max(len(heard), len(seen))
    heard, seen = (_blurred(one[:, counted], n_frames) for one in (heard, seen))
    found = np.zeros(len(_LAGS))
    for index, lag in enumerate(_LAGS.tolist()):
        if abs(lag) >= n_frames:
            continue
        late = heard[max(0, lag) : n_frames + min(0, lag)]
        early = seen[max(0, -lag) : n_frames - max(0, lag)]
        found[index] = np.sqrt(late * early).sum()
    return found


def in_step(heard: CtcScores, seen: CtcScores) -> float:
    """Whether sound and lips of one clip go together: 0, of different sentences, to 1.

    What the heads of both say at the same moments (0.12 s to either side), as a share of what they
    say at all; 1 where they say unlike units, which cannot be compared.

    Args:
        heard: scores of the sound's head for one clip, a batch of one.
        seen: likewise of the lips'.
    """
    if heard.units is not seen.units:
        return 1.0
    sound, lips = _probabilities(heard, 0), _probabilities(seen, 0)
    said = np.sqrt(sound.sum() * lips.sum())
    near = agreement(sound, lips)[np.abs(_LAGS) <= _TOGETHER]
    return float(min(1.0, near.max() / said)) if said > 0 else 0.0


def offset_doubts(offset_s: float | None) -> list[str]:
    """What an offset may do to a text: a sentence, or none where it is small."""
    if offset_s is None or abs(offset_s) <= WARNED_S:
        return []
    side = "later" if offset_s > 0 else "earlier"
    return [f"the sound is {abs(offset_s):.1f} s {side} than the lips"]


def _probabilities(scores: CtcScores, row: int) -> np.ndarray:
    """[T, K] of one clip, at 25 frames per second, without the blank."""
    values = torch.softmax(scores.of_clip(row).logits.float(), dim=-1)[:, :-1].cpu().numpy()
    finer = VIDEO_FPS / scores.steps_per_second
    if finer > 1:
        return values[(np.arange(round(len(values) * finer)) / finer).astype(int)]
    step = round(1 / finer)
    values = values[: max(1, len(values) // step) * step]
    return values.reshape(-1, min(step, len(values)), values.shape[1]).max(axis=1)


def _blurred(values: np.ndarray, n_frames: int) -> np.ndarray:
    """[n_frames, K]: filled with zeros, and averaged over time."""
    around = _BLUR // 2
    filled = np.pad(values, ((around, n_frames - len(values) + around), (0, 0)))
    return np.mean([filled[k : k + n_frames] for k in range(_BLUR)], axis=0)

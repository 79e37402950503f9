"""Whose lips are heard: choosing, among several faces, the one that speaks.

Three kinds of evidence, in this order. Lips that rest do not speak. Of several moving lips, those
speak on which the words heard are most probable when they are lip-read alone; this needs a model
that knows both streams. Else the mouth's opening and the loudness are compared: their correlation
at the best lag (audio-visual synchrony, Hershey and Movellan 1999; the search over lags as Chung
and Zisserman 2016), and how much the lips move.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from avsr.clips.clip import SILENCE_PEAK, Clip, Lips
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import decode, encode
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME

__all__ = [
    "RESTING",
    "Agreement",
    "SpeakerChoice",
    "can_compare_words",
    "choose_speaker",
    "mean_motion",
    "speaking_clip",
    "synchrony",
    "words_on_lips",
]

RESTING = 0.05  # lip motion per second, below which nobody speaks
_LIVELY = 0.4  # of the liveliest face's lip motion: less does not compete with it
_MIN_SEEN = 0.5  # share of the frames in which a face must show, if another does
_LAGS = range(-5, 6)  # frames, 0.2 s: offsets of real recordings
_LOUDNESS_FLOOR = 1e-3  # of full scale, -60 dB: what is softer counts as silence
_MOTION_WEIGHT = 0.5  # of the relative lip motion, beside the correlation


@dataclass(frozen=True, kw_only=True)
class SpeakerChoice:
    """The face that speaks.

    Attributes:
        index: its place among the faces given.
        reason: a phrase that says why.
    """

    index: int
    reason: str


Agreement = Callable[[Sequence[Lips]], list[float]]


def choose_speaker(
    faces: Sequence[Lips], audio: np.ndarray | None, agreement: Agreement | None = None
) -> SpeakerChoice:
    """Choose the face that speaks.

    Args:
        faces: at least one.
        audio: [N] the sound; None without.
        agreement: rates how well each of some faces' lips fit the sound; asked only where more
            than one face moves its lips. None compares opening and loudness.
    """
    if len(faces) == 1:
        return SpeakerChoice(index=0, reason="the only face")
    seen = [float(np.isfinite(face.motion).mean()) if len(face.motion) else 0.0 for face in faces]
    shown = [index for index, share in enumerate(seen) if share >= _MIN_SEEN]
    shown = shown or [int(np.argmax(seen))]
    motion = {index: mean_motion(faces[index]) for index in shown}
    liveliest = max(shown, key=motion.__getitem__)
    limit = max(RESTING, _LIVELY * motion[liveliest])
    lively = [index for index in shown if motion[index] >= limit]
    if len(lively) < 2:
        reason = "the only face in view" if len(shown) == 1 else "the only lips that move"
        return SpeakerChoice(index=liveliest, reason=reason)
    if audio is None or float(np.abs(audio).max(initial=0.0)) < SILENCE_PEAK:
        return SpeakerChoice(index=liveliest, reason="the lips that move most")
    rivals = [faces[index] for index in lively]
    if agreement is not None:
        scores, reason = agreement(rivals), "the lips that fit the words heard best"
    else:
        scores = [
            synchrony(face.opening, audio)
            + _MOTION_WEIGHT * motion[index] / max(motion[liveliest], RESTING)
            for index, face in zip(lively, rivals, strict=True)
        ]
        reason = "the lips that move with the sound"
    return SpeakerChoice(index=lively[int(np.argmax(scores))], reason=reason)


def mean_motion(face: Lips) -> float:
    """Mean lip motion where the face shows, 0 where it never does."""
    moving = face.motion[np.isfinite(face.motion)]
    return float(moving.mean()) if len(moving) else 0.0


def synchrony(opening: np.ndarray, audio: np.ndarray) -> float:
    """Correlation of a mouth's opening with the loudness, at the lag that suits best.

    Args:
        opening: [T] gap between the lips.
        audio: [N].

    Returns:
        -1 to 1; 0 where one of them does not change, or for less than half a second.
    """
    n_frames = min(len(opening), len(audio) // SAMPLES_PER_VIDEO_FRAME)
    if n_frames < 12:
        return 0.0
    samples = audio[: n_frames * SAMPLES_PER_VIDEO_FRAME].astype(np.float64)
    power = (samples.reshape(n_frames, -1) ** 2).mean(axis=1)
    loudness = _smooth(np.log(np.sqrt(power) + _LOUDNESS_FLOOR))
    opening = _smooth(np.asarray(opening[:n_frames], dtype=np.float64))
    best = -1.0
    for lag in _LAGS:
        lips = opening[max(0, lag) : n_frames + min(0, lag)]
        sound = loudness[max(0, -lag) : n_frames - max(0, lag)]
        best = max(best, _correlation(lips, sound))
    return best


@torch.inference_mode()
def words_on_lips(loaded: LoadedModel, audio: np.ndarray, faces: Sequence[Lips]) -> list[float]:
    """How probable the words heard are when each face is lip-read alone.

    Args:
        loaded: a model trained on sound alone and on lips alone.
        audio: [N] the sound.
        faces: whose lips are compared; none without frames.

    Returns:
        Mean log-probability of the heard text's tokens for each face.
    """
    heard = decode(loaded, encode(loaded, waveforms=[audio]), loaded.route("audio"))[0]
    scores = []
    for face in faces:
        batch = loaded.processor(video=face.mouth, text=heard.text, modality="video")
        output = loaded.model(**batch.to(loaded.device), modality="video")
        scores.append(-float(output.loss))
    return scores


def can_compare_words(loaded: LoadedModel) -> bool:
    """Whether a model is fit for :func:`words_on_lips`."""
    return {"audio", "video"} <= set(loaded.modalities)


def speaking_clip(
    loaded: LoadedModel, clip: Clip, *, compare_words: bool = True
) -> tuple[Clip, int | None]:
    """Give a clip with several faces the lips of the one that speaks.

    Where that face is hidden, those of the liveliest other one are shown: in edited films the
    speaker's picture changes.

    Args:
        loaded: the model.
        clip: with the faces to choose from.
        compare_words: look on the lips for the words that are heard, where the model can.

    Returns:
        The clip, and the number of the person; as it was, and None, where there is no choice.
    """
    faces = [face for face in clip.faces if len(face.mouth)]
    if not faces:
        return clip, None
    audio = clip.audio if clip.audio is not None and len(clip.audio) else None
    agreement: Agreement | None = None
    if audio is not None and compare_words and can_compare_words(loaded):
        agreement = partial(words_on_lips, loaded, audio)
    chosen = faces[choose_speaker(faces, audio, agreement).index]
    others = sorted((f for f in faces if f is not chosen), key=mean_motion)
    mouth, motion = chosen.mouth.copy(), chosen.motion.copy()
    for other in others:  # the liveliest last, so that it wins
        there = ~np.isfinite(chosen.motion) & np.isfinite(other.motion)
        mouth[there], motion[there] = other.mouth[there], other.motion[there]
    return replace(clip, mouth=mouth, lip_motion=motion, faces=()), chosen.person


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean over three frames."""
    return np.convolve(np.pad(values, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 1e-9 else 0.0

"""Cutting an input into the pieces that are transcribed: stretches of speech with pauses around.

A short clip is one piece; in a longer one pieces follow the voice and the lips. Pieces are spans of
video frames (25 per second), so that sound and lips stay aligned.
"""

import math
from itertools import pairwise

import numpy as np

from avsr.clips.clip import Clip
from avsr.recognition.speech_evidence import PAUSE, Evidence
from avsr.route import Modality
from avsr_frontends.rates import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS

WHOLE_CLIP_S = 4.0  # a clip up to this length is one utterance
_MARGIN = 18  # frames, 0.72 s: pause that a piece keeps before and after what is said
_LONG = 150  # frames, 6 s: in a longer stretch of voices, the lips tell the sentences apart
_STILLER = 0.5  # of their motion in words, at most: lips that stir so little do not speak
_NEAR = 5  # frames at each end of a pause in which lips close and open; less than a third of one
_QUIETER_DB = 15.0  # than voices, at least: in such a pause no noise hides one
_QUIET_SHARE = 0.75  # of a pause: breath and the end of a word are louder
_NEVER = 1e3
_SAMPLES = SAMPLES_PER_VIDEO_FRAME
_WINDOW_S = 0.2  # length over which loudness is measured: about one syllable

Span = tuple[int, int]  # first frame, last frame + 1


def whole_spans(clip: Clip, max_segment_s: float) -> list[Span]:
    """Cut a clip into pieces without asking who speaks when.

    A clip of up to ``max_segment_s`` stays whole. Longer ones are cut where the sound is quietest;
    without sound, into equal parts.

    Returns:
        The pieces, in order, without gaps.
    """
    return _short_enough((0, clip.n_frames), clip, max_segment_s)


def speech_spans(
    clip: Clip, evidence: Evidence, modality: Modality, max_segment_s: float
) -> list[Span]:
    """Find the pieces of a clip in which somebody speaks.

    Args:
        clip: the clip.
        evidence: its signs of speech.
        modality: what is read; only its signs count.
        max_segment_s: longest piece in seconds.

    Returns:
        The pieces, in order, with up to 0.72 s of the pauses around them.
    """
    if modality == "video" and evidence.motion is None:
        return whole_spans(clip, max_segment_s)  # nothing tells when the lips rest
    spans = evidence.speaking(modality)
    if modality == "av":
        spans = [part for span in spans for part in _told_apart(span, evidence, clip.audio)]
    return [
        piece
        for span in _with_margins(spans, evidence.n_frames)
        for piece in _short_enough(span, clip, max_segment_s)
    ]


def settled_frames(n_frames: int) -> int:
    """How many of the frames so far will be cut the same way whatever comes after them."""
    return max(0, n_frames - _MARGIN - PAUSE)


def _told_apart(span: Span, evidence: Evidence, audio: np.ndarray | None) -> list[Span]:
    """Cut a stretch in which voice or lips never rest together, where one of them tells pauses.

    Lips that part before a word or close slowly after it fill pauses in which no voice is heard;
    voices of others fill those in which the lips rest.
    """
    first, last = span
    part = evidence.cut(first, last)
    if not part.sees_face():
        return [span]
    heard = None if audio is None else audio[first * _SAMPLES : last * _SAMPLES]
    edges = [first, *(first + cut for cut in _voice_rests(part, heard)), last]
    return [piece for one in pairwise(edges) for piece in _lips_told_apart(one, evidence)]


def _voice_rests(part: Evidence, audio: np.ndarray | None) -> list[int]:
    """Where the lips are stillest in each pause between voices.

    Noise may hide a voice: where it is loud in a pause, the lips must be stiller there too.
    """
    voiced = part.speaking("audio")
    if len(voiced) < 2:
        return []
    assert part.motion is not None
    lips = np.nan_to_num(part.motion)
    spoken = np.concatenate([lips[first:last] for first, last in voiced]).mean()
    level_db = _level_db(audio, part.n_frames)
    loud_db = np.median(np.concatenate([level_db[first:last] for first, last in voiced]))
    quiet = level_db < loud_db - _QUIETER_DB
    cuts: list[int] = []
    for (_, begin), (end, _) in pairwise(voiced):
        pause = slice(begin + _NEAR, end - _NEAR)
        is_quiet = quiet[pause].mean() >= _QUIET_SHARE
        if is_quiet or lips[pause].mean() < _STILLER * spoken:
            stirring = np.convolve(np.pad(lips[pause], _NEAR // 2, mode="edge"), np.ones(_NEAR))
            stirring = stirring[_NEAR - 1 : 1 - _NEAR] + _NEVER * (is_quiet & ~quiet[pause])
            cuts.append(begin + _NEAR + int(stirring.argmin()))
    return cuts


def _level_db(audio: np.ndarray | None, n_frames: int) -> np.ndarray:
    """[T] power of each video frame's sound; full scale where there is none."""
    if audio is None:
        return np.zeros(n_frames)
    samples = np.zeros(n_frames * _SAMPLES)
    samples[: len(audio)] = audio[: len(samples)]
    return 10 * np.log10((samples.reshape(n_frames, _SAMPLES) ** 2).mean(axis=1) + 1e-12)


def _lips_told_apart(span: Span, evidence: Evidence) -> list[Span]:
    """Cut a long stretch of voices at the rests of the lips."""
    first, last = span
    part = evidence.cut(first, last)
    if last - first <= _LONG or not part.sees_face():
        return [span]
    spoken = part.speaking("video")
    if not spoken:
        return [span]
    edges = [first, *((a[1] + b[0]) // 2 + first for a, b in pairwise(spoken)), last]
    return list(pairwise(edges))


def _with_margins(spans: list[Span], n_frames: int) -> list[Span]:
    """Widen spans into the pauses around them, by half of a pause at most."""
    wider: list[Span] = []
    for index, (first, last) in enumerate(spans):
        before = first - spans[index - 1][1] if index else 2 * first
        after = spans[index + 1][0] - last if index + 1 < len(spans) else 2 * (n_frames - last)
        wider.append((first - min(_MARGIN, before // 2), last + min(_MARGIN, after // 2)))
    return wider


def _short_enough(span: Span, clip: Clip, max_segment_s: float) -> list[Span]:
    """Cut a piece that is too long, at quiet moments if it has sound."""
    longest = int(max_segment_s * VIDEO_FPS)
    first, last = span
    heard = clip.audio is not None and first * SAMPLES_PER_VIDEO_FRAME < len(clip.audio)
    if not heard or clip.audio is None or clip.is_silent:
        n_pieces = max(1, math.ceil((last - first) / longest))
        edges = [first + (last - first) * index // n_pieces for index in range(n_pieces + 1)]
    else:
        edges = [first]
        while last - edges[-1] > longest:
            # Two pieces of half the rest are better than a whole one and a scrap.
            latest = min(edges[-1] + longest, last - longest // 4)
            edges.append(_quietest(clip.audio, edges[-1] + longest // 2, latest))
        edges.append(last)
    return list(pairwise(edges))


def _quietest(audio: np.ndarray, earliest: int, latest: int) -> int:
    """The frame in the middle of the quietest syllable's length between two frames."""
    samples = slice(earliest * SAMPLES_PER_VIDEO_FRAME, latest * SAMPLES_PER_VIDEO_FRAME)
    span = audio[samples].astype(np.float64)
    n_window = round(_WINDOW_S * SAMPLE_RATE)
    if len(span) <= n_window:
        return (earliest + latest) // 2
    energy = np.convolve(span**2, np.ones(n_window), mode="valid")[::SAMPLES_PER_VIDEO_FRAME]
    return earliest + int(energy.argmin()) + math.floor(_WINDOW_S * VIDEO_FPS / 2)

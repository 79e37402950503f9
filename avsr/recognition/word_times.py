"""When each word was said: by forced alignment to a CTC head, else from the model's attention.

Attention also tells where a text has more units than a head has steps.

Both mark each token somewhere inside it. Words end and begin at silences between two marks, or half
way where there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import forced_align

from avsr.model_parts.ctc import CtcScores, ctc_heads, ctc_scores
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.attention_times import attention_marks
from avsr.recognition.hypotheses import Hypothesis
from avsr.route import Route
from avsr.transcription import Word
from avsr_frontends.rates import SAMPLE_RATE

_QUIET_DB = -20.0  # relative to the loud parts: what counts as silence between words
_QUIET_S = 0.1  # a shorter quiet moment is part of a word: a stop consonant closes for less
_REACH_S = 0.2  # of a word beyond its mark, where nothing better is known


@dataclass(frozen=True, kw_only=True)
class SpokenWord:
    """A word of a hypothesis with its tokens.

    Attributes:
        text: the word.
        token_ids: its tokens.
        probability: geometric mean probability of its tokens.
    """

    text: str
    token_ids: tuple[int, ...]
    probability: float


def split_words(tokenizer: Any, hypothesis: Hypothesis) -> list[SpokenWord]:
    """Group a hypothesis' tokens into words, whatever the tokenizer's way of marking spaces."""
    ids = hypothesis.token_ids
    texts = [tokenizer.decode(ids[: n + 1], skip_special_tokens=True) for n in range(len(ids))]
    numbers = [max(0, len(text.split()) - 1) for text in texts]
    words = hypothesis.text.split()
    spoken: list[SpokenWord] = []
    for number, group in groupby(range(len(ids)), key=numbers.__getitem__):
        if number >= len(words):
            continue
        indices = list(group)
        log_probs = [hypothesis.token_log_probs[index] for index in indices]
        spoken.append(
            SpokenWord(
                text=words[number],
                token_ids=tuple(ids[index] for index in indices),
                probability=float(np.exp(np.mean(log_probs))),
            )
        )
    return spoken


@torch.inference_mode()
def time_words(
    loaded: LoadedModel,
    words: Sequence[SpokenWord],
    streams: EncodedStreams,
    waveform: np.ndarray | None,
    route: Route,
) -> tuple[Word, ...]:
    """Find when words were said in one clip.

    Args:
        loaded: the model.
        words: what was said.
        streams: the clip, a batch of one; its sound is used before its lips.
        waveform: [N] its sound, for the silences between words.
        route: what the words were read by.

    Returns:
        The words with times in seconds from the clip's start; none if they do not fit in.
    """
    ids = [token_id for word in words for token_id in word.token_ids]
    stream = next(iter(streams.of(route).present), None)
    if stream is None:
        return ()
    marks: list[tuple[int, int]] = []
    if ctc_heads(loaded.model)[stream.stream]:
        marks = _head_marks(ctc_scores(loaded.model, stream), ids)
    marks = marks or attention_marks(loaded, streams, route, ids)
    if not marks:
        return ()
    n_frames = int(stream.lengths[0])
    spans: list[tuple[int, int]] = []
    first = 0
    for word in words:
        last = first + len(word.token_ids)
        spans.append((marks[first][0], marks[last - 1][1]))
        first = last
    quiet = np.zeros(n_frames, dtype=bool)
    if waveform is not None:
        quiet = _quiet(waveform, stream.fps)
    times = word_bounds(spans, quiet, n_frames, stream.fps)
    return tuple(
        Word(word=word.text, start=start, end=end, probability=word.probability)
        for word, (start, end) in zip(words, times, strict=True)
    )


def word_bounds(
    marks: Sequence[tuple[int, int]], quiet: np.ndarray, n_frames: int, fps: float
) -> list[tuple[float, float]]:
    """Widen the marks of words until they meet, or meet silence.

    Args:
        marks: first frame and last frame + 1 of each word's mark, in order.
        quiet: [T] bool, which frames are silent.
        n_frames: frames of the clip.
        fps: frames per second.

    Returns:
        Start and end of each word in seconds.
    """
    if not marks:
        return []
    reach = round(_REACH_S * fps)
    before = _silences(quiet, 0, marks[0][0], fps)
    starts: list[float] = [before[-1][1] if before else max(0, marks[0][0] - reach)]
    ends: list[float] = []
    for (_, last), (first, _) in pairwise(marks):
        between = _silences(quiet, last, first, fps)
        ends.append(between[0][0] if between else (last + first) / 2)
        starts.append(between[-1][1] if between else (last + first) / 2)
    after = _silences(quiet, marks[-1][1], n_frames, fps)
    ends.append(after[0][0] if after else min(n_frames, marks[-1][1] + reach))
    return [(start / fps, end / fps) for start, end in zip(starts, ends, strict=True)]


def _head_marks(scores: CtcScores, token_ids: list[int]) -> list[tuple[int, int]]:
    """First encoder frame and last + 1 of each token of a text, read off one clip's scores.

    A token that the head cannot say has no length. Empty where the text does not fit.
    """
    spelt = scores.units.spell(token_ids)
    steps = _aligned(scores.of_clip(0).logits, [unit for units in spelt for unit in units])
    if not steps:
        return []
    marks: list[tuple[int, int]] = []
    at, n_units = steps[0][0], 0
    for units in spelt:
        begin = steps[n_units][0] if units else at
        n_units += len(units)
        at = steps[n_units - 1][1] if units else at
        marks.append((begin * scores.frames_per_step, at * scores.frames_per_step))
    return marks


def _aligned(logits: Tensor, units: list[int]) -> list[tuple[int, int]]:
    """First step and last + 1 of each unit on the best path of [T, U + 1]; empty without one."""
    repeats = sum(a == b for a, b in pairwise(units))
    if not units or len(logits) < len(units) + repeats:
        return []
    blank = logits.shape[-1] - 1
    targets = torch.tensor([units], dtype=torch.int32)
    path, _ = forced_align(logits[None].float().log_softmax(-1).cpu(), targets, blank=blank)
    marks: list[tuple[int, int]] = []
    step = 0
    for unit, run in groupby(path[0].tolist()):
        length = len(list(run))
        if unit != blank:
            marks.append((step, step + length))
        step += length
    return marks


def _quiet(waveform: np.ndarray, fps: float) -> np.ndarray:
    """[T] bool: frames that are much quieter than the loud ones."""
    step = round(SAMPLE_RATE / fps)
    frames = waveform[: len(waveform) // step * step].reshape(-1, step).astype(np.float64)
    if len(frames) == 0:
        return np.zeros(0, dtype=bool)
    level = np.sqrt((frames**2).mean(axis=1))
    return level < np.quantile(level, 0.95) * 10 ** (_QUIET_DB / 20)


def _silences(quiet: np.ndarray, first: int, last: int, fps: float) -> list[tuple[int, int]]:
    """Runs of quiet frames between two frames that are long enough to part words."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet[first:last], [0]]).astype(np.int8)))
    runs = [(first + int(a), first + int(b)) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in runs if b - a >= _QUIET_S * fps]

"""The best sentence of the grammar under frame-wise word scores, to watch encoders learn."""

import numpy as np
from corpus import GRAMMAR, WORDS

SLOTS = [[WORDS.index(word) for word in slot] for slot in GRAMMAR]
IMPOSSIBLE = -1e9


def best_sentence(log_probs: np.ndarray) -> str:
    """Viterbi search for six words in the grammar's order, with silence allowed between them.

    Args:
        log_probs: [T, 52] log-probability of each word, silence first, in every frame.

    Returns:
        The six words with the best total score.
    """
    n_frames = len(log_probs)
    reached = np.concatenate([[0.0], np.cumsum(log_probs[:, 0])])  # silence up to each moment
    trace = []
    for slot in SLOTS:
        scores = log_probs[:, slot]
        inside, begun = np.full(len(slot), IMPOSSIBLE), np.zeros(len(slot), dtype=int)
        ends = np.full((n_frames + 1, len(slot)), IMPOSSIBLE)
        starts = np.zeros((n_frames + 1, len(slot)), dtype=int)
        for frame in range(n_frames):
            begun = np.where(inside >= reached[frame], begun, frame)
            inside = np.maximum(inside, reached[frame]) + scores[frame]
            ends[frame + 1], starts[frame + 1] = inside, begun
        reached, left = np.full(n_frames + 1, IMPOSSIBLE), np.zeros(n_frames + 1, dtype=int)
        score, since = IMPOSSIBLE, 0
        for moment in range(n_frames + 1):  # the word ends, then silence may follow
            if moment:
                score += log_probs[moment - 1, 0]
            if ends[moment].max() >= score:
                score, since = ends[moment].max(), moment
            reached[moment], left[moment] = score, since
        trace.append((slot, ends.argmax(axis=1), starts, left))
    words, moment = [], n_frames
    for slot, best, starts, left in reversed(trace):
        moment = left[moment]
        choice = best[moment]
        words.append(WORDS[slot[choice]])
        moment = starts[moment, choice]
    return " ".join(reversed(words))

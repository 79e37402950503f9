"""A budget of tokens split between sound and lips, after the idea of HiRED (arXiv 2408.10945).

HiRED gives each part of a picture as much as the encoder's attention says it is worth. Here a
stream is worth what its CTC head is sure of, which falls when the stream is noisy.
Shapes: T steps, U units.
"""

import torch
from torch import Tensor


def sureness(log_probs: Tensor) -> float:
    """How sure a CTC head is of what it reads: 1 for entirely, near 0 for not at all.

    Args:
        log_probs: [T, U + 1], the blank last.

    Returns:
        One over the units that the steps waver between, e to their mean entropy; steps that are
        most likely blank do not count. Without any other step all units are as likely.
    """
    spoken = log_probs[log_probs.argmax(dim=-1) != log_probs.shape[-1] - 1]
    if len(spoken) == 0:
        return 1 / log_probs.shape[-1]
    return float(torch.exp((spoken.exp() * spoken).sum(dim=-1).mean()))


def split_budget(n_sound: int, n_lips: int, budget: int, sound_share: float) -> tuple[int, int]:
    """Tokens of sound and of lips that are kept, at least one each, ``budget`` together.

    What one stream cannot use goes to the other.

    Args:
        n_sound: tokens there are, at least 1.
        n_lips: the same.
        budget: from 2 to the sum of both.
        sound_share: of the budget that is meant for sound, 0 to 1.
    """
    least, most = max(1, budget - n_lips), min(n_sound, budget - 1)
    kept = min(max(round(budget * sound_share), least), most)
    return kept, budget - kept

"""Compressors: fewer, longer steps in place of encoder frames.

Shapes: B batch, T frames, S tokens, D feature size. ``rate`` is the number of frames per token.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Compressor:
    """One way to shorten a stream.

    Attributes:
        shorten: takes features [B, T, D], a rate and the [B] real frames of each row (all T for
            None); gives tokens [B, S, D'] and the real tokens of each row.
        fixes_rates: D' is rate * D, not D, so that every rate needs a projector of its own and no
            other rate can be used.
    """

    shorten: Callable[[Tensor, int, Tensor | None], tuple[Tensor, Tensor]]
    fixes_rates: bool = False

    def token_size(self, size: int, rate: int) -> int:
        """Feature size of a token made of frames of ``size``."""
        return rate * size if self.fixes_rates else size


def compressed_lengths(lengths: Tensor, rate: int) -> Tensor:
    """Return the tokens that ``lengths`` frames become: ``max(1, lengths // rate)``."""
    return (lengths // rate).clamp(min=1)


def average_frames(
    features: Tensor, rate: int, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Shorten sequences by averaging groups of ``rate`` frames.

    An incomplete last group is dropped. A sequence shorter than one group becomes one token, the
    mean of the frames it has.

    Args:
        features: [B, T, D].
        rate: frames per token, at least 1.
        lengths: [B] real frames of each row; all T when none.

    Returns:
        [B, S, D] tokens, same dtype, and [B] the real tokens of each row. Tokens past a row's
        length mean nothing.
    """
    lengths = _row_lengths(features, rate, lengths)
    tokens = compressed_lengths(lengths, rate)
    if rate == 1 and features.shape[1] > 0:
        return features, tokens
    groups = _group_frames(features, rate, lengths, tokens)  # [B, S, rate, D]
    if bool((lengths >= rate).all()):
        return groups.mean(dim=2), tokens
    counts = lengths.clamp(min=1, max=rate).to(features.dtype)  # only a first group can be short
    return groups.sum(dim=2) / counts[:, None, None], tokens


def stack_frames(
    features: Tensor, rate: int, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Shorten sequences by concatenating groups of ``rate`` frames, first frame first.

    An incomplete last group is dropped. A sequence shorter than one group becomes one token whose
    missing frames are zero.

    Args:
        features: [B, T, D].
        rate: frames per token, at least 1.
        lengths: [B] real frames of each row; all T when none.

    Returns:
        [B, S, rate * D] tokens, same dtype, and [B] the real tokens of each row.
    """
    lengths = _row_lengths(features, rate, lengths)
    tokens = compressed_lengths(lengths, rate)
    return _group_frames(features, rate, lengths, tokens).flatten(2), tokens


COMPRESSORS: dict[str, Compressor] = {
    "average": Compressor(shorten=average_frames),
    "stack": Compressor(shorten=stack_frames, fixes_rates=True),
}


def _row_lengths(features: Tensor, rate: int, lengths: Tensor | None) -> Tensor:
    if rate < 1:
        raise ValueError(f"rate must be at least 1 frame per token, got {rate}")
    if lengths is None:
        batch, n_frames = features.shape[:2]
        return torch.full((batch,), n_frames, dtype=torch.long, device=features.device)
    return lengths.to(features.device)


def _group_frames(features: Tensor, rate: int, lengths: Tensor, tokens: Tensor) -> Tensor:
    """Cut [B, T, D] into [B, S, rate, D]; frames past a row's length are zero in short groups."""
    n_tokens = int(tokens.max())
    n_frames = n_tokens * rate
    if bool((lengths < rate).any()):
        kept = torch.arange(features.shape[1], device=features.device) < lengths[:, None]
        features = features.masked_fill(~kept[:, :, None], 0.0)
    if features.shape[1] < n_frames:
        features = functional.pad(features, (0, 0, 0, n_frames - features.shape[1]))
    return features[:, :n_frames].unflatten(1, (n_tokens, rate))

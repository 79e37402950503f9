"""What one clip is to the language model, and where its tokens of sound and lips lie.

Shapes: S positions, D width.
"""

from dataclasses import dataclass
from typing import Any

import torch
from cell_clips import CellClips
from token_budget import sureness
from token_reduction import Reduction
from torch import Tensor

from avsr import EncodedStreams, Route
from avsr.model_parts.ctc import ctc_scores
from avsr.model_parts.prefix import build_prefix


@dataclass(frozen=True)
class Prefix:
    """What one clip is to the language model: S positions, D width.

    Attributes:
        embeds: [1, S, D].
        spans: where the tokens of each stream lie.
        sound_share: the sound's part of what the CTC heads are sure of; 1 where no lips are given.
    """

    embeds: Tensor
    spans: dict[str, slice]
    sound_share: float

    @property
    def streamed(self) -> Tensor:
        """[S] bool, tokens of sound and lips."""
        marked = torch.zeros(self.embeds.shape[1], dtype=torch.bool)
        for span in self.spans.values():
            marked[span] = True
        return marked

    @property
    def n_streamed(self) -> dict[str, int]:
        """Tokens of each stream."""
        return {stream: span.stop - span.start for stream, span in self.spans.items()}

    def shortened(self, reduction: Reduction, wanted: dict[str, int]) -> Tensor:
        """[1, S', D] with so many tokens of each stream."""
        parts, done = [], 0
        for stream, span in self.spans.items():
            parts += [self.embeds[:, done : span.start],
                      reduction(self.embeds[0, span], wanted[stream])[None]]  # fmt: skip
            done = span.stop
        return torch.cat([*parts, self.embeds[:, done:]], dim=1)


def prefix_of(model: Any, clips: CellClips, row: int, route: Route) -> Prefix:
    """The prefix of one clip, without a draft."""
    streams, _ = clips.batch([row])
    spans, start = {}, 1  # after BOS
    for stream, n_tokens in clips.n_tokens(row, route).items():
        spans[stream] = slice(start + 1, start + 1 + n_tokens)  # between its markers
        start += n_tokens + 2
    return Prefix(build_prefix(model, streams, [route]).embeds, spans, _sound_share(model, streams))


def _sound_share(model: Any, streams: EncodedStreams) -> float:
    if streams.video is None:
        return 1.0
    sound, lips = (
        sureness(ctc_scores(model, encoded).of_clip(0).log_probs) for encoded in streams.present
    )
    return sound / (sound + lips)

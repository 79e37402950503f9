"""What the CTC heads make of encoded streams: scores of every token at every step.

Shapes: B batch, T steps, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from avsr.model_parts.parts import ModelParts
from avsr.model_parts.streams import EncodedStream, EncodedStreams
from avsr.route import Route, Stream


@dataclass(frozen=True, kw_only=True)
class CtcScores:
    """Scores of one stream of a batch.

    Attributes:
        logits: [B, T, V + 1], the language model's vocabulary, then the blank.
        lengths: [B] real steps of each clip.
        steps_per_second: how fine the scores are; at present every encoder frame is a step.
    """

    logits: Tensor
    lengths: Tensor
    steps_per_second: float

    def of_clip(self, row: int) -> Tensor:
        """Scores of one clip, [T, V + 1] without padding."""
        return self.logits[row, : int(self.lengths[row])]


def ctc_heads(model: ModelParts, streams: Sequence[Stream] = ("audio", "video")) -> dict[str, bool]:
    """For each stream, whether a model has a CTC head for it."""
    there = {
        "audio": model.audio_ctc_head is not None,
        "video": model.video_ctc_head is not None,
    }
    return {stream: there[stream] for stream in streams}


def ctc_scores(model: ModelParts, encoded: EncodedStream) -> CtcScores:
    """Score one stream by its CTC head.

    Raises:
        ValueError: the model has no CTC head for it.
    """
    head = model.audio_ctc_head if encoded.stream == "audio" else model.video_ctc_head
    if head is None:
        raise ValueError(f"this model has no CTC head for {encoded.stream}")
    return CtcScores(
        logits=head(encoded.features),
        lengths=encoded.lengths,
        steps_per_second=encoded.fps,
    )


def clip_scores(
    model: ModelParts, streams: EncodedStreams, routes: Sequence[Route]
) -> list[list[Tensor]]:
    """For each clip, the scores [T, V + 1] of each stream that it uses and that has a head.

    One clip at a time: the scores of a whole batch would be large.
    """
    heads = ctc_heads(model)
    return [
        [
            ctc_scores(model, encoded.rows([row])).of_clip(0)
            for encoded in streams.of(route).present
            if heads[encoded.stream]
        ]
        for row, route in enumerate(routes)
    ]

"""What the CTC heads make of encoded streams: scores of every unit at every step.

Shapes: B batch, T steps, U units that a head can say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from avsr.decoding.ctc_scores import TOKEN_UNITS, ClipScores, CtcUnits
from avsr.model_parts.parts import ModelParts
from avsr.model_parts.prefix import shorten
from avsr.model_parts.streams import EncodedStream, EncodedStreams
from avsr.model_parts.tied_ctc import TiedCtc
from avsr.route import Route, Stream

__all__ = ["CtcScores", "clip_scores", "ctc_heads", "ctc_scores"]


@dataclass(frozen=True, kw_only=True)
class CtcScores:
    """Scores of one stream of a batch.

    Attributes:
        logits: [B, T, U + 1], the blank last.
        lengths: [B] real steps of each clip.
        frames_per_step: encoder frames that a step stands for.
        steps_per_second: how fine the scores are.
        units: what the columns but the last stand for.
    """

    logits: Tensor
    lengths: Tensor
    frames_per_step: int
    steps_per_second: float
    units: CtcUnits = TOKEN_UNITS

    def of_clip(self, row: int) -> ClipScores:
        """Scores of one clip, without padding."""
        return ClipScores(logits=self.logits[row, : int(self.lengths[row])], units=self.units)


def ctc_heads(model: ModelParts, streams: Sequence[Stream] = ("audio", "video")) -> dict[str, bool]:
    """For each stream, whether a model has a CTC head for it."""
    there = {
        "audio": model.audio_ctc_head is not None,
        "video": model.video_ctc_head is not None,
    }
    return {stream: there[stream] for stream in streams}


def ctc_scores(model: ModelParts, encoded: EncodedStream) -> CtcScores:
    """Score one stream by its CTC head.

    A head of its own scores encoder frames; a tied one the projected tokens of the finest trained
    rate.

    Raises:
        ValueError: the model has no CTC head for it.
    """
    head = model.audio_ctc_head if encoded.stream == "audio" else model.video_ctc_head
    if head is None:
        raise ValueError(f"this model has no CTC head for {encoded.stream}")
    if not isinstance(head, TiedCtc):
        return CtcScores(
            logits=head(encoded.features),
            lengths=encoded.lengths,
            frames_per_step=1,
            steps_per_second=encoded.fps,
        )
    assert model.ctc_pieces is not None  # built beside tied heads
    rate = min(model.config.rates(encoded.stream))
    tokens = shorten(model, encoded, rate)
    assert tokens.lengths is not None  # of a stream
    return CtcScores(
        logits=head(tokens.embeds, model.ctc_pieces.embeddings(model.get_input_embeddings())),
        lengths=tokens.lengths,
        frames_per_step=rate,
        steps_per_second=encoded.fps / rate,
        units=model.ctc_pieces,
    )


def clip_scores(
    model: ModelParts, streams: EncodedStreams, routes: Sequence[Route]
) -> list[list[ClipScores]]:
    """For each clip, the scores of each stream that it uses and that has a head.

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

"""CTC between scores step by step and the text: the loss of the heads on the streams.

Source: Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal classification", ICML
2006. Shapes: B clips, T steps, L text tokens, U units that a head can say.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.ctc import ctc_heads, ctc_scores
from avsr.model_parts.streams import EncodedStreams

__all__ = ["CTC_LOSSES", "ctc_loss", "head_losses"]

CTC_LOSSES = ("ctc_audio", "ctc_video")  # names of the two heads' losses


def ctc_loss(logits: Tensor, lengths: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    """CTC loss per step.

    Args:
        logits: [B, T, U + 1], the blank last.
        lengths: [B] real steps of each clip.
        texts: units of each clip, without an end token.

    Returns:
        Scalar float32: minus the log-probability of all texts, over the number of real steps. A
        text that is longer than its steps allow counts as 0, and so does no clip at all.
    """
    if not texts:
        return logits.float().sum()  # of nothing: 0
    lengths = lengths.clamp(max=logits.shape[1]).to("cpu")
    units = [unit for text in texts for unit in text]
    total = functional.ctc_loss(
        logits.float().log_softmax(dim=-1).transpose(0, 1),
        torch.tensor(units, dtype=torch.long, device=logits.device),
        lengths,
        torch.tensor([len(text) for text in texts]),
        blank=logits.shape[-1] - 1,
        reduction="sum",
        zero_infinity=True,
    )
    return total / lengths.sum().clamp(min=1).to(total.device)


def head_losses(
    model: AvsrForConditionalGeneration,
    streams: EncodedStreams,
    labels: Tensor,
    lips_readable: Tensor | None = None,
) -> dict[str, Tensor]:
    """The loss of each CTC head whose stream is there.

    Args:
        model: the model.
        streams: encoded sound and lips of the clips.
        labels: [B, L] text and its end token, which is not spoken; -100 for padding.
        lips_readable: [B] bool, whose lips show the text and teach their head; None: all.

    Returns:
        Scalars by names of :data:`CTC_LOSSES`; 0 where no clip can be learned from.
    """
    heads, losses = ctc_heads(model), {}
    texts = [[token for token in row if token >= 0][:-1] for row in labels.tolist()]
    for encoded in streams.present:
        if heads[encoded.stream]:
            scores = ctc_scores(model, encoded)
            spelt = [
                [unit for units in scores.units.spell(text) for unit in units] for text in texts
            ]
            rows = list(range(len(spelt)))
            if encoded.stream == "video" and lips_readable is not None:
                rows = lips_readable.nonzero().flatten().tolist()
            losses[f"ctc_{encoded.stream}"] = ctc_loss(
                scores.logits[rows], scores.lengths[rows], [spelt[row] for row in rows]
            )
    return losses

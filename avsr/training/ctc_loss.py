"""CTC between frame by frame scores and the text: the loss of the heads on the encoders.

Source: Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal classification", ICML
2006. Shapes: B clips, T frames, L text tokens, V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional

from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.ctc import ctc_heads, ctc_scores
from avsr.model_parts.streams import EncodedStreams

__all__ = ["CTC_LOSSES", "ctc_loss", "head_losses"]

CTC_LOSSES = ("ctc_audio", "ctc_video")  # names of the two heads' losses


def ctc_loss(logits: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
    """CTC loss per frame.

    Args:
        logits: [B, T, V + 1], the blank last.
        lengths: [B] real frames of each clip.
        labels: [B, L] text and its end token, which is not spoken; -100 for padding.

    Returns:
        Scalar float32: minus the log-probability of all texts, over the number of real frames. A
        text that is longer than its frames allow counts as 0.
    """
    lengths = lengths.clamp(max=logits.shape[1]).to("cpu")
    real = labels >= 0
    n_tokens = (real.sum(dim=1) - 1).clamp(min=0)
    position = torch.arange(labels.shape[1], device=labels.device)
    total = functional.ctc_loss(
        logits.float().log_softmax(dim=-1).transpose(0, 1),
        labels[real & (position < n_tokens[:, None])],
        lengths,
        n_tokens.to("cpu"),
        blank=logits.shape[-1] - 1,
        reduction="sum",
        zero_infinity=True,
    )
    return total / lengths.sum().clamp(min=1).to(total.device)


def head_losses(
    model: AvsrForConditionalGeneration, streams: EncodedStreams, labels: Tensor
) -> dict[str, Tensor]:
    """The loss of each CTC head whose stream is there.

    Args:
        model: the model.
        streams: encoded sound and lips of the clips.
        labels: [B, L], as for :func:`ctc_loss`.

    Returns:
        Scalars by names of :data:`CTC_LOSSES`.
    """
    heads, losses = ctc_heads(model), {}
    for encoded in streams.present:
        if heads[encoded.stream]:
            scores = ctc_scores(model, encoded)
            losses[f"ctc_{encoded.stream}"] = ctc_loss(scores.logits, scores.lengths, labels)
    return losses

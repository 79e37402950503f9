"""How well the CTC heads agree with a text that the language model found.

Joint decoding: the language model's beam search proposes texts, and every text that ends is
scored, whole, by each CTC head; source: Watanabe, Hori, Kim, Hershey and Hayashi, "Hybrid
CTC/attention architecture for end-to-end speech recognition", IEEE JSTSP 11(8), 2017, which
rescores finished texts likewise. The heads see one stream each, uncompressed: a sentence that
fits sound and lips alike wins over one that fits only what the language model expected, and a
text that repeats itself, which a mean over tokens favours, loses.
Shapes: T encoder frames, V vocabulary, C texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_LEAST = -1.0e6  # of a text that cannot be aligned: finite, so that sums stay numbers


def ctc_log_probs(logits: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    """Log-probability of each text over all its alignments to the frames.

    Args:
        logits: [T, V + 1], the blank last.
        texts: token ids without an end token.

    Returns:
        [C] float32; minus infinity where a text is longer than the frames allow.
    """
    n_texts, n_frames = len(texts), len(logits)
    log_probs = logits.float().log_softmax(dim=-1)
    targets = [torch.tensor(list(text), dtype=torch.long) for text in texts]
    losses = functional.ctc_loss(
        log_probs[:, None].expand(-1, n_texts, -1),
        torch.cat(targets).to(logits.device),
        torch.full((n_texts,), n_frames),
        torch.tensor([len(target) for target in targets]),
        blank=logits.shape[-1] - 1,
        reduction="none",
    )
    return -losses


@dataclass(frozen=True, kw_only=True)
class CtcRescorer:
    """Scores the finished texts of a beam search with the help of CTC heads.

    Attributes:
        logits: for each clip, the scores [T, V + 1] of each head that saw or heard it, one or two.
        weight: of the heads' mean log-probability, 0 to 1; the language model has the rest.
        end_ids: tokens that end a text, which the heads do not know.
    """

    logits: Sequence[Sequence[Tensor]]
    weight: float
    end_ids: Sequence[int]

    def of_clips(self, rows: Sequence[int]) -> "CtcRescorer":
        """The rescorer for some clips of the batch."""
        chosen = [self.logits[row] for row in rows]
        return CtcRescorer(logits=chosen, weight=self.weight, end_ids=self.end_ids)

    def joint_scores(self, clip: int, texts: Sequence[Sequence[int]], sums: Tensor) -> Tensor:
        """Weighted log-probabilities of texts under the language model and the heads.

        Args:
            clip: its number.
            texts: token ids, C texts.
            sums: [C] the language model's log-probability of each whole text.

        Returns:
            [C]; never more than the language model's own share of it.
        """
        spoken = [[token for token in text if token not in self.end_ids] for text in texts]
        heads = [ctc_log_probs(logits, spoken) for logits in self.logits[clip]]
        mean = torch.stack(heads).mean(dim=0).to(sums)
        return (1 - self.weight) * sums + self.weight * mean.clamp(min=_LEAST)

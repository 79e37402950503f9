"""Decorrelation loss: keep intermediate tokens from turning towards the first token.

Tokens whose hidden state aligns with that of the first token become attention sinks; the loss is
the mean squared cosine between the two (arXiv 2510.22603). Works on the ``hidden_states`` of any
Hugging Face causal language model. Shapes: B batch, S positions, D hidden size.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

LayerRange = Literal["paper", "released"]


def decorrelated_layers(n_layers: int, layers: LayerRange | str) -> range:
    """Return the entries of ``hidden_states`` that the loss averages over.

    Entry l is the output of layer l (entry 0: the embeddings, the last: after the final norm).

    Args:
        n_layers: Transformer layers L of the language model.
        layers: "paper": 2 .. L-1, the range printed in the paper; "released": 1 .. L-1, the range
            in the code that trained the published checkpoints.

    Raises:
        ValueError: unknown name, or a language model with too few layers.
    """
    first = {"paper": 2, "released": 1}.get(layers)
    if first is None:
        raise ValueError(f'layers must be "paper" or "released", got "{layers}"')
    if n_layers <= first:
        raise ValueError(
            f'the decorrelation loss over the "{layers}" layers needs more than {first} '
            f"language model layers, got {n_layers}"
        )
    return range(first, n_layers)


def decorrelation_loss(
    hidden_states: Sequence[Tensor], position_mask: Tensor, layers: LayerRange | str = "paper"
) -> Tensor:
    """Mean squared cosine between each marked token and the anchor, over tokens and layers.

    The anchor of a row is its first marked position: the BOS token, or, for a tokenizer without
    BOS, whatever token begins the sequence (the audio or video start marker). The first position
    of a causal model sees only itself, which is what makes it the sink the others may copy. No
    gradient is stopped: it reaches the tokens and the anchor.

    Args:
        hidden_states: L + 1 tensors [B, S, D], as a language model of L layers returns them.
        position_mask: [B, S] bool, true at the anchor and at every token to keep away from it
            (audio, video, markers, prompt); false at padding and text.
        layers: see :func:`decorrelated_layers`.

    Returns:
        Scalar in [0, 1], float32: the mean over all marked tokens of the batch but the anchors,
        then over layers. Zero when there is no such token.
    """
    chosen = decorrelated_layers(len(hidden_states) - 1, layers)
    rows = torch.arange(position_mask.shape[0], device=position_mask.device)
    anchors = position_mask.to(torch.uint8).argmax(dim=1)
    counted = position_mask.clone()
    counted[rows, anchors] = False
    weights = counted.float()
    total = weights.new_zeros(())
    for index in chosen:
        directions = functional.normalize(hidden_states[index].float(), dim=-1)
        anchor = directions[rows, anchors]  # [B, D]
        cosines = torch.einsum("bsd,bd->bs", directions, anchor)
        total = total + (cosines.square() * weights).sum()
    return total / (weights.sum().clamp(min=1) * len(chosen))

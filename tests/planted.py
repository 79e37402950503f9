"""A small Llama with attention sinks built into its weights by hand."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

WIDTH, HEAD_SIZE, LAYERS = 64, 32, 5
MARKER = 0  # the embedding feature that planted tokens have and others lack
STILL = HEAD_SIZE // 2 - 1  # the rotary pair that turns least: position does not matter there


@torch.no_grad()
def planted_model(
    features: Sequence[int],
    born_in: int,
    attended_in: Sequence[int],
    strength: float = 3000.0,
    n_layers: int = LAYERS,
) -> LlamaForCausalLM:
    """A Llama whose MLP of layer ``born_in`` makes ``features`` massive for marked tokens.

    Layers ``attended_in`` (later ones; all count from 1) have keys that read the first of the
    features and queries that always look for it. Everything else is small noise.
    """
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=n_layers,
        num_attention_heads=2, num_key_value_heads=2, head_dim=HEAD_SIZE, attention_bias=True,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.02,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    layers: Any = model.model.layers
    mlp = layers[born_in - 1].mlp
    for projection, reading in ((mlp.gate_proj, 10.0), (mlp.up_proj, 1.0)):
        projection.weight[0] = 0.0
        projection.weight[0, MARKER] = reading
    mlp.down_proj.weight[:, 0] = 0.0
    # A marked token's normed marker is near sqrt(WIDTH), so the neuron gives about 10 * WIDTH; the
    # others' is near -1, which closes the gate.
    for number, feature in enumerate(features):
        mlp.down_proj.weight[feature, 0] = strength / (10 * WIDTH) * (-1) ** number
    for layer in attended_in:
        attention = layers[layer - 1].self_attn
        for head in range(2):
            row = head * HEAD_SIZE + STILL
            attention.q_proj.bias[row] = 10.0
            attention.k_proj.weight[row] = 0.0
            attention.k_proj.weight[row, features[0]] = 1.0
    return model


def marked_embeddings(n_tokens: int, planted: Sequence[int]) -> Tensor:
    """Input embeddings [1, S, D] whose ``planted`` tokens carry the marker."""
    generator = torch.Generator().manual_seed(1)
    embeds = torch.randn(1, n_tokens, WIDTH, generator=generator) * 0.3
    embeds[..., MARKER] = -0.3
    embeds[0, list(planted), MARKER] = 20.0
    return embeds

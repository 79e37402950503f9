"""Deterministic generation from a prefix of embeddings, with the probability of each token.

Shapes: B batch, S prefix positions, L new tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig
from transformers.modeling_outputs import ModelOutput

from avsr.sequence import TokenSequence


@dataclass
class AvsrGeneration(ModelOutput):
    """Generated tokens and how sure the model was of them.

    Attributes:
        sequences: [B, L] new token ids, padded after EOS.
        token_log_probs: [B, L] log-probability of each token; 0 at padding.
        sequence_scores: [B] mean log-probability of a row's tokens, EOS included.
    """

    sequences: Tensor | None = None
    token_log_probs: Tensor | None = None
    sequence_scores: Tensor | None = None


def decoding_config(
    base: GenerationConfig, *, num_beams: int, max_new_tokens: int, scores: bool
) -> GenerationConfig:
    """Settings of greedy (one beam) or beam search that no base model can change."""
    return GenerationConfig(
        bos_token_id=base.bos_token_id,
        eos_token_id=base.eos_token_id,
        pad_token_id=base.pad_token_id,
        do_sample=False,
        num_beams=num_beams,
        max_new_tokens=max_new_tokens,
        return_dict_in_generate=True,
        output_scores=scores,
    )


def generate_tokens(
    language_model: nn.Module, prefix: TokenSequence, config: GenerationConfig
) -> AvsrGeneration:
    """Continue each prefix; with ``config.output_scores``, score the new tokens."""
    result = language_model.generate(  # pyright: ignore[reportCallIssue]
        inputs_embeds=prefix.embeds,
        attention_mask=prefix.full_mask().long(),
        generation_config=config,
    )
    if not config.output_scores:
        return AvsrGeneration(sequences=result.sequences)
    log_probs = language_model.compute_transition_scores(  # pyright: ignore[reportCallIssue]
        result.sequences,
        result.scores,
        result.get("beam_indices"),
        normalize_logits=config.num_beams == 1,  # beam search has normalised them already
    )
    real = real_tokens(result.sequences, config)
    log_probs = log_probs.masked_fill(~real, 0.0)
    return AvsrGeneration(
        sequences=result.sequences,
        token_log_probs=log_probs,
        sequence_scores=log_probs.sum(dim=1) / real.sum(dim=1).clamp(min=1),
    )


def real_tokens(sequences: Tensor, config: GenerationConfig) -> Tensor:
    """[B, L] bool, true up to and including each row's first EOS."""
    ends = config.eos_token_id
    if ends is None:
        return torch.ones_like(sequences, dtype=torch.bool)
    ends = [ends] if isinstance(ends, int) else ends
    ended = torch.isin(sequences, torch.tensor(ends, device=sequences.device))
    return (ended.cumsum(dim=1) - ended.long()) == 0


def merge_generations(
    parts: list[tuple[list[int], AvsrGeneration]], pad_token_id: int
) -> AvsrGeneration:
    """Put row groups of one batch back together, padded on the right to the longest."""
    if len(parts) == 1:
        return parts[0][1]
    longest = max(part.sequences.shape[1] for _, part in parts)  # pyright: ignore
    numbers = torch.tensor([number for rows, _ in parts for number in rows])
    back = numbers.argsort()

    def pad(values: Tensor, fill: float) -> Tensor:
        return functional.pad(values, (0, longest - values.shape[1]), value=fill)

    merged = AvsrGeneration()
    merged.sequences = torch.cat([pad(p.sequences, pad_token_id) for _, p in parts])[back]
    if parts[0][1].token_log_probs is not None:
        merged.token_log_probs = torch.cat([pad(p.token_log_probs, 0.0) for _, p in parts])[back]
        merged.sequence_scores = torch.cat([p.sequence_scores for _, p in parts])[back]
    return merged

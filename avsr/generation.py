"""Deterministic generation from a prefix of embeddings, with the probability of each token.

Shapes: B batch, S prefix positions, L new tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig

from avsr.rows import restore_rows, row_order
from avsr.sequence import TokenSequence


@dataclass(frozen=True, kw_only=True)
class AvsrGeneration:
    """Generated tokens and how sure the model was of them.

    Attributes:
        sequences: [B, L] new token ids, padded after EOS.
        token_log_probs: [B, L] log-probability of each token, 0 at padding; if asked for.
        sequence_scores: [B] mean log-probability of a row's tokens, EOS included; if asked for.
    """

    sequences: Tensor
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
        sequence_scores=_mean_over(log_probs, real),
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
    parts: list[tuple[list[int], AvsrGeneration]], config: GenerationConfig
) -> AvsrGeneration:
    """Put row groups of one batch back together, padded on the right to the longest."""
    order = row_order([rows for rows, _ in parts])
    if order is None:
        return parts[0][1]
    fill = config.pad_token_id or 0
    sequences = _join([part.sequences for _, part in parts], order, fill)
    log_probs = [part.token_log_probs for _, part in parts if part.token_log_probs is not None]
    scores = [part.sequence_scores for _, part in parts if part.sequence_scores is not None]
    return AvsrGeneration(
        sequences=sequences,
        token_log_probs=_join(log_probs, order, 0.0) if log_probs else None,
        sequence_scores=restore_rows(scores, order) if scores else None,
    )


def cut_to_budgets(
    generation: AvsrGeneration, budgets: list[int], config: GenerationConfig
) -> AvsrGeneration:
    """Replace what a row has beyond its own bound on tokens by padding.

    A short clip that does not end by itself then reads the same alone and beside longer ones.
    """
    sequences = generation.sequences
    columns = torch.arange(sequences.shape[1], device=sequences.device)
    beyond = columns >= torch.tensor(budgets, device=sequences.device)[:, None]
    if not bool((beyond & (sequences != (config.pad_token_id or 0))).any()):
        return generation
    cut = sequences.masked_fill(beyond, config.pad_token_id or 0)
    if generation.token_log_probs is None:
        return AvsrGeneration(sequences=cut)
    log_probs = generation.token_log_probs.masked_fill(beyond, 0.0)
    real = real_tokens(sequences, config) & ~beyond
    return AvsrGeneration(
        sequences=cut, token_log_probs=log_probs, sequence_scores=_mean_over(log_probs, real)
    )


def _mean_over(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def _join(parts: list[Tensor], order: Tensor, fill: float) -> Tensor:
    longest = max(part.shape[1] for part in parts)
    padded = [functional.pad(part, (0, longest - part.shape[1]), value=fill) for part in parts]
    return restore_rows(padded, order)

"""Whether a draft in the prompt is better than what the language model made of it.

A draft is the text of a recogniser of its own, which may be the better one where the language model
has seen little of what is said. So it competes: it is scored as if the language model had written
it, by that model and by the CTC heads, and stays unless the found text is likelier by a margin.
Shapes: B clips, C clips that have a draft, L tokens.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from avsr.decoding.ctc_scores import CtcRescorer
from avsr.decoding.generation import AvsrGeneration
from avsr.decoding.search import SearchSettings
from avsr.decoding.sequence import IGNORED_LABEL, TokenSequence, append_text
from avsr.model_parts.adapters import score_sequence
from avsr.model_parts.parts import ModelParts
from avsr.model_parts.prefix import Drafts
from avsr.route import Route

__all__ = ["keep_better_drafts"]


def keep_better_drafts(
    model: ModelParts,
    prefix: TokenSequence,
    routes: Sequence[Route],
    drafts: Drafts,
    found: AvsrGeneration,
    settings: SearchSettings,
    rescorer: CtcRescorer | None,
) -> AvsrGeneration:
    """Put drafts in place of found texts that are not more probable by the margin.

    Args:
        model: the model.
        prefix: BOS ... prompt and draft of B clips.
        routes: of each clip.
        drafts: token ids of each clip's draft; None for no draft.
        found: what the search found.
        settings: of the search; ``options.draft_margin`` is per token of the draft.
        rescorer: the CTC heads; None where they have no weight.
    """
    margin = settings.options.draft_margin
    if margin is None or not settings.end_ids:
        return found
    written = [
        row[: int(n)].tolist() for row, n in zip(found.sequences, found.lengths, strict=True)
    ]
    drafted = {row: [*draft, settings.end_ids[0]] for row, draft in enumerate(drafts) if draft}
    rows = [row for row, text in drafted.items() if text != written[row]]
    if not rows:
        return found
    texts = [drafted[row] for row in rows]
    log_probs = _log_probs(model, prefix.rows(rows), [routes[row] for row in rows], texts)
    chosen: dict[int, int] = {}
    for number, row in enumerate(rows):
        own = found.token_log_probs[row, : int(found.lengths[row])].sum()
        sums = torch.stack([own, log_probs[number].sum()])
        if rescorer is not None:
            sums = rescorer.joint_scores(row, [written[row], texts[number]], sums)
        if float(sums[0] - sums[1]) < margin * len(texts[number]):
            chosen[row] = number
    if not chosen:
        return found
    return _replaced(
        found,
        {row: (texts[number], log_probs[number]) for row, number in chosen.items()},
        settings.pad_id,
    )


def _log_probs(
    model: ModelParts, prefix: TokenSequence, routes: Sequence[Route], texts: list[list[int]]
) -> list[Tensor]:
    """[L] log-probability of each token of each text after its prefix."""
    device = prefix.embeds.device
    labels = pad_sequence(
        [torch.tensor(text, device=device) for text in texts],
        batch_first=True,
        padding_value=IGNORED_LABEL,
    )
    embeds = model.get_input_embeddings()(labels.clamp(min=0))
    sequence = append_text(prefix, embeds, labels)
    logits, _ = score_sequence(model, sequence, routes, logits_to_keep=labels.shape[1] + 1)
    scores = logits[:, -labels.shape[1] - 1 : -1].float().log_softmax(dim=-1)
    picked = scores.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return [row[: len(text)] for row, text in zip(picked, texts, strict=True)]


def _replaced(
    found: AvsrGeneration, texts: dict[int, tuple[list[int], Tensor]], pad_id: int
) -> AvsrGeneration:
    width = found.sequences.shape[1]
    more = max(0, max(len(text) for text, _ in texts.values()) - width)
    sequences = functional.pad(found.sequences, (0, more), value=pad_id)
    token_log_probs = functional.pad(found.token_log_probs, (0, more))
    means, lengths = found.sequence_scores.clone(), found.lengths.clone()
    for row, (text, log_probs) in texts.items():
        sequences[row] = pad_id
        sequences[row, : len(text)] = torch.tensor(text, device=sequences.device)
        token_log_probs[row] = 0.0
        token_log_probs[row, : len(text)] = log_probs.to(token_log_probs)
        means[row], lengths[row] = log_probs.mean(), len(text)
    return replace(
        found,
        sequences=sequences,
        token_log_probs=token_log_probs,
        sequence_scores=means,
        lengths=lengths,
    )

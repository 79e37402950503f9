"""Texts that compete with what the search found: those of the CTC heads, and a draft.

Beam search sees what the language model thinks likely; a CTC head hears or sees what the language
model would not come to. So the head's most probable texts are scored as if the language model had
written them, by that model and by the heads, and the best text wins; source of the joint score:
Watanabe et al. 2017, see :mod:`avsr.decoding.ctc_scores`.

A draft in the prompt is the text of a recogniser of its own, which may be the better one where the
language model has seen little of what is said. So it stays unless the best text is likelier by a
margin.
Shapes: B clips, C candidates, L tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from avsr.decoding.ctc_scores import CtcRescorer
from avsr.decoding.ctc_search import best_unit_texts
from avsr.decoding.generation import AvsrGeneration
from avsr.decoding.incremental import IncrementalReader
from avsr.decoding.search import SearchSettings
from avsr.decoding.sequence import TokenSequence
from avsr.model_parts.adapters import adapters_of
from avsr.model_parts.parts import ModelParts
from avsr.model_parts.prefix import Drafts
from avsr.route import Route

__all__ = ["choose_candidates"]


@dataclass(frozen=True, kw_only=True)
class _Text:
    """One text of a clip.

    Attributes:
        token_ids: with its end token.
        log_probs: [L] of each, by the language model.
        score: joint, of the whole text.
    """

    token_ids: list[int]
    log_probs: Tensor
    score: float


def choose_candidates(
    model: ModelParts,
    prefix: TokenSequence,
    routes: Sequence[Route],
    drafts: Drafts | None,
    found: AvsrGeneration,
    settings: SearchSettings,
    rescorer: CtcRescorer | None,
) -> AvsrGeneration:
    """Put better texts in place of those that the search found.

    Args:
        model: the model.
        prefix: BOS ... prompt and draft of B clips.
        routes: of each clip.
        drafts: token ids of each clip's draft; None for no draft.
        found: what the search found.
        settings: of the search; ``options.ctc_texts`` texts of each head compete, and the draft
            with ``options.draft_margin`` per token of it, where that is not None.
        rescorer: the CTC heads; None where they have no weight.
    """
    margin, n_texts = settings.options.draft_margin, settings.options.ctc_texts or 0
    if not settings.end_ids or (rescorer is None and margin is None):
        return found
    end = settings.end_ids[0]
    chosen: dict[int, _Text] = {}
    for row, route in enumerate(routes):
        length = int(found.lengths[row])
        own = found.sequences[row, :length].tolist()
        drafted = drafts[row] if drafts is not None and margin is not None else None
        heads = [] if rescorer is None else rescorer.scores[row]
        others = [
            [token for token in head.units.tokens(text) if token not in settings.end_ids]
            for head in heads
            for text in (best_unit_texts(head.logits, n_texts) if n_texts else [])
        ]
        others += [list(drafted)] if drafted else []
        limit = settings.budgets[row]
        texts = [[*text, end] for text in others if 0 < len(text) < limit or text == drafted]
        texts = [text for text in dict.fromkeys(map(tuple, texts)) if list(text) != own]
        if not texts:
            continue
        verified = None  # the draft's, where it is the only rival and the search has read it
        if found.draft_log_probs is not None and texts == [(*(drafted or ()), end)]:
            verified = found.draft_log_probs[row]
        log_probs = [found.token_log_probs[row, :length]]
        if verified is not None:
            log_probs.append(verified)
        else:
            log_probs += _log_probs(model, prefix.rows([row]), route, texts)
        sums = torch.stack([one.sum() for one in log_probs])
        written = [own, *map(list, texts)]
        if rescorer is not None:
            sums = rescorer.joint_scores(row, written, sums)
        rivals = [
            _Text(token_ids=text, log_probs=one, score=score)
            for text, one, score in zip(written, log_probs, sums.tolist(), strict=True)
        ]
        best = _best(rivals, [*drafted, end] if drafted else None, margin)
        if best is not rivals[0]:
            chosen[row] = best
    return _replaced(found, chosen, settings.pad_id) if chosen else found


def _best(rivals: list[_Text], draft: list[int] | None, margin: float | None) -> _Text:
    """The likeliest text, the draft being likelier by the margin; the first was found."""

    def score(text: _Text) -> float:
        if text.token_ids != draft or margin is None:
            return text.score
        lead = max(margin, 0.0) if text is rivals[0] else margin
        return text.score + lead * len(text.token_ids)

    return max(rivals, key=score)


def _log_probs(
    model: ModelParts, prefix: TokenSequence, route: Route, texts: Sequence[Sequence[int]]
) -> list[Tensor]:
    """[L] log-probability of each token of each text; the prefix of the clip is read once."""
    device = prefix.embeds.device
    model.activate(adapters_of(model.config, route))
    rows = [torch.tensor(list(text), device=device) for text in texts]
    token_ids = pad_sequence(rows, batch_first=True)
    reader = IncrementalReader(model.language_model, token_ids.shape[1])
    first = reader.read_prefix(prefix.without_padding())  # [1, 1, V]
    reader.repeat(len(texts))
    scores = torch.cat([first.expand(len(texts), -1, -1), reader.read(token_ids)[:, :-1]], dim=1)
    picked = scores.log_softmax(dim=-1).gather(-1, token_ids[..., None])[..., 0]
    return [row[: len(text)] for row, text in zip(picked, texts, strict=True)]


def _replaced(found: AvsrGeneration, texts: dict[int, _Text], pad_id: int) -> AvsrGeneration:
    width = found.sequences.shape[1]
    more = max(0, max(len(text.token_ids) for text in texts.values()) - width)
    sequences = functional.pad(found.sequences, (0, more), value=pad_id)
    token_log_probs = functional.pad(found.token_log_probs, (0, more))
    means, lengths = found.sequence_scores.clone(), found.lengths.clone()
    for row, text in texts.items():
        ids = text.token_ids
        sequences[row] = pad_id
        sequences[row, : len(ids)] = torch.tensor(ids, device=sequences.device)
        token_log_probs[row] = 0.0
        token_log_probs[row, : len(ids)] = text.log_probs.to(token_log_probs)
        means[row], lengths[row] = text.log_probs.mean(), len(ids)
    return replace(
        found,
        sequences=sequences,
        token_log_probs=token_log_probs,
        sequence_scores=means,
        lengths=lengths,
    )

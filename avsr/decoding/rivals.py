"""Texts that compete with what a search finds: a draft, and those of the CTC heads.

Beam search sees what the language model thinks likely; a CTC head hears or sees what the language
model would not come to. So the head's most probable texts are scored as if the language model had
written them, by that model and by the heads, and the best text wins; source of the joint score:
Watanabe et al. 2017, see :mod:`avsr.decoding.ctc_scores`.

A draft in the prompt is the text of a recogniser of its own, which may be the better one where the
language model has seen little of what is said. So it stays unless the best text is likelier by a
margin.

They are scored before the search begins, which then only looks for what beats them: no text is
likelier than certain, so many a draft cannot be beaten at all, and there is no search.
Shapes: B clips, L tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from avsr.decoding.ctc_scores import CtcRescorer
from avsr.decoding.ctc_search import best_unit_texts
from avsr.decoding.search_settings import SearchResult, SearchSettings

__all__ = ["Rival", "Rivals", "Texts"]

Texts = list[list[int]]  # token ids, each text with its end


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A text of one clip.

    Attributes:
        token_ids: with its end.
        log_probs: [L] of each, by the language model.
        score: of the whole text, joint where there are CTC heads; a draft's with its lead.
    """

    token_ids: list[int]
    log_probs: Tensor
    score: float


class Rivals:
    """The rivals of each clip of a batch, and the best of those that have been judged.

    Args:
        settings: of the search; ``options.ctc_texts`` texts of each head compete, and the draft
            with ``options.draft_margin`` per token of it, where that is not None.
        drafts: [B] token ids of each clip's draft in the prompt; None for no draft.
        rescorer: the CTC heads; None where they have no weight.
    """

    def __init__(
        self,
        settings: SearchSettings,
        drafts: Sequence[Sequence[int] | None] | None = None,
        rescorer: CtcRescorer | None = None,
    ) -> None:
        self.rescorer = rescorer
        self._settings, self._drafts = settings, drafts
        self._best: dict[int, Rival] = {}

    def drafts(self, clip: int) -> Texts:
        """The draft of a clip, if it competes."""
        has_margin = self._settings.options.draft_margin is not None
        draft = self._drafts[clip] if self._drafts is not None and has_margin else None
        return [[*draft, self._settings.end_ids[0]]] if draft and self._settings.end_ids else []

    def texts_of_heads(self, clip: int) -> Texts:
        """The most probable texts of a clip's CTC heads, as far as they are none of its draft."""
        n_texts = self._settings.options.ctc_texts
        if self.rescorer is None or not n_texts or not self._settings.end_ids:
            return []
        ends = self._settings.end_ids
        spoken = [
            [token for token in head.units.tokens(units) if token not in ends]
            for head in self.rescorer.scores[clip]
            for units in best_unit_texts(head.logits, n_texts)
        ]
        limit = self._settings.budgets[clip]
        texts = [[*text, ends[0]] for text in spoken if 0 < len(text) < limit]
        own = self.drafts(clip)
        return [list(text) for text in dict.fromkeys(map(tuple, texts)) if list(text) not in own]

    def judge(self, clip: int, texts: Texts, log_probs: Sequence[Tensor]) -> None:
        """Take what the language model thinks of texts of a clip."""
        if not texts:
            return
        sums = torch.stack([one.sum() for one in log_probs])
        if self.rescorer is not None:
            sums = self.rescorer.joint_scores(clip, texts, sums)
        drafts = self.drafts(clip)
        for text, one, score in zip(texts, log_probs, sums.tolist(), strict=True):
            lead = (self._settings.options.draft_margin or 0.0) * len(text)
            rival = Rival(
                token_ids=text, log_probs=one, score=score + (lead if text in drafts else 0.0)
            )
            if rival.score > self.to_beat(clip):
                self._best[clip] = rival

    def judge_each(
        self,
        clips: Sequence[int],
        texts_of: Callable[[int], Texts],
        read: Callable[[list[Texts]], list[list[Tensor]]],
    ) -> None:
        """Judge texts of several clips.

        Args:
            clips: their numbers.
            texts_of: gives the texts of a clip.
            read: gives the log-probabilities of each token of the texts of all these clips.
        """
        texts = [texts_of(clip) for clip in clips]
        if any(texts):
            for clip, own, log_probs in zip(clips, texts, read(texts), strict=True):
                self.judge(clip, own, log_probs)

    def to_beat(self, clip: int) -> float:
        """The best score that was judged; minus infinity before."""
        best = self._best.get(clip)
        return -torch.inf if best is None else best.score

    def is_settled(self, clip: int) -> bool:
        """Whether no text can beat a clip's best rival: scores are logarithms of probabilities."""
        return self.to_beat(clip) >= 0.0

    def settle(self, found: SearchResult, scores: Sequence[float], pad_id: int) -> SearchResult:
        """Put rivals in place of what the search found where they are better.

        Args:
            found: what the search found.
            scores: [B] of it, as rivals are scored; minus infinity for nothing.
            pad_id: fills short rows.
        """
        better = {clip: rival for clip, rival in self._best.items() if rival.score > scores[clip]}
        if not better:
            return found
        longest = max(len(rival.token_ids) for rival in better.values())
        more = max(0, longest - found.sequences.shape[1])
        sequences = functional.pad(found.sequences, (0, more), value=pad_id)
        log_probs = functional.pad(found.token_log_probs, (0, more))
        lengths = found.lengths.clone()
        for row, rival in better.items():
            ids = rival.token_ids
            sequences[row], log_probs[row], lengths[row] = pad_id, 0.0, len(ids)
            sequences[row, : len(ids)] = sequences.new_tensor(ids)
            log_probs[row, : len(ids)] = rival.log_probs.to(log_probs)
        longest = int(lengths.max())
        return replace(
            found,
            sequences=sequences[:, :longest],
            token_log_probs=log_probs[:, :longest],
            lengths=lengths,
        )

"""Beam search over a language model, with the prefix read once for all beams.

Finds what transformers' ``generate`` finds (length penalty 1, no early stopping), but every clip
has its own bound on tokens and stops by itself, as soon as its best text is certain, so that it
reads the same alone and in any batch.
Shapes: A clips still read, K beams, C candidates, L new tokens, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from avsr.decoding.beams import beam_reader
from avsr.decoding.ctc_scores import CtcRescorer
from avsr.decoding.rivals import Rivals, Texts
from avsr.decoding.search import BatchSearch
from avsr.decoding.search_settings import SearchResult, SearchSettings
from avsr.decoding.sequence import TokenSequence

_IMPOSSIBLE = -1.0e9  # score of what must not be chosen; finite, so that differences stay numbers


@dataclass(frozen=True, kw_only=True)
class _Texts:
    """Some texts of each clip, best first, C or K of them.

    Attributes:
        scores: [A, C] summed log-probability of an unfinished text; of a finished one its mean, or
            the joint score with the CTC heads.
        lengths: [A, C] tokens of a finished text; 0 for none.
        tokens: [A, C, L].
        log_probs: [A, C, L] of each token.
    """

    scores: Tensor
    lengths: Tensor
    tokens: Tensor
    log_probs: Tensor

    @classmethod
    def none(cls, n_clips: int, n_texts: int, longest: int, device: torch.device) -> "_Texts":
        shape = (n_clips, n_texts)
        return cls(
            scores=torch.full(shape, _IMPOSSIBLE, device=device),
            lengths=torch.zeros(shape, dtype=torch.long, device=device),
            tokens=torch.zeros((*shape, longest), dtype=torch.long, device=device),
            log_probs=torch.zeros((*shape, longest), device=device),
        )

    def of_clips(self, rows: Tensor) -> "_Texts":
        return _Texts(
            scores=self.scores[rows],
            lengths=self.lengths[rows],
            tokens=self.tokens[rows],
            log_probs=self.log_probs[rows],
        )

    def chosen(self, numbers: Tensor) -> "_Texts":
        """Choose texts of each clip by number, [A, C]."""
        clips = torch.arange(len(numbers), device=numbers.device)[:, None]
        return _Texts(
            scores=self.scores[clips, numbers],
            lengths=self.lengths[clips, numbers],
            tokens=self.tokens[clips, numbers],
            log_probs=self.log_probs[clips, numbers],
        )

    def best_with(self, others: "_Texts", n_texts: int) -> "_Texts":
        """The best ``n_texts`` of these and the others."""
        joined = _Texts(
            scores=torch.cat([self.scores, others.scores], dim=1),
            lengths=torch.cat([self.lengths, others.lengths], dim=1),
            tokens=torch.cat([self.tokens, others.tokens], dim=1),
            log_probs=torch.cat([self.log_probs, others.log_probs], dim=1),
        )
        return joined.chosen(joined.scores.topk(n_texts, dim=1).indices)


class BeamSearch(BatchSearch):
    """The text of the highest mean log-probability found with K unfinished ones in sight.

    With CTC heads it is the text of the highest joint score instead, see
    :attr:`~avsr.decoding.rivals.Rivals.rescorer`.
    """

    def __init__(
        self,
        language_model: Any,
        prefix: TokenSequence,
        settings: SearchSettings,
        rivals: Rivals | None = None,
    ) -> None:
        super().__init__(language_model, prefix, settings, rivals)
        self.reader = beam_reader(language_model, settings.num_beams)
        self._rescorer = self.rivals.rescorer

    def run(self) -> SearchResult:
        """Search until no clip can find a better text within its budget."""
        first = self._hear_rivals(self.reader.read_prefix(self.prefix))
        if len(self.clips):
            self._search(first)
        return self.result()

    def _hear_rivals(self, first: Tensor) -> Tensor:
        """Judge the rivals, drafts before others; leave clips that nothing else can win.

        Args:
            first: [A, 1, V] scores behind the prefixes.

        Returns:
            Those of the clips that are still to be searched.
        """
        rounds: tuple[Callable[[int], Texts], ...] = (
            self.rivals.drafts,
            self.rivals.texts_of_heads,
        )
        for texts_of in rounds:
            self.rivals.judge_each(self.clips.tolist(), texts_of, self.reader.read_texts)
            going = [not self.rivals.is_settled(clip) for clip in self.clips.tolist()]
            if not all(going):
                rows = torch.tensor(going, device=first.device).nonzero()[:, 0]
                first = first[rows]
                self._keep(rows)
        return first

    def _keep(self, rows: Tensor) -> None:
        """Go on with some clips only."""
        self.clips, self.budgets = self.clips[rows], self.budgets[rows]
        if len(rows):
            self.reader.keep_rows(rows)

    def _search(self, first: Tensor) -> None:
        longest = self.tokens.shape[1]
        none = _Texts.none(len(self.clips), self.num_beams, longest, self.tokens.device)
        scores = first.expand(-1, self.num_beams, -1)
        unfinished, finished = replace(none, scores=none.scores.clone()), none
        unfinished.scores[:, 0] = 0.0  # beams are still equal: only the first is continued
        n_tokens = 0
        while True:
            candidates, parents, ended = self._continue(unfinished, scores, n_tokens)
            n_tokens += 1
            finished = self._add_finished(finished, candidates, ended, n_tokens)
            unfinished, parents = self._unfinished(candidates, parents, ended)
            going = self._can_improve(finished, unfinished, n_tokens) & ~ended.all(dim=1)
            rows = going.nonzero()[:, 0]
            if len(rows) < len(going):
                self._write_down(finished, ~going)
                if len(rows) == 0:
                    return
                unfinished, finished = unfinished.of_clips(rows), finished.of_clips(rows)
                parents = parents[rows]
                self._keep(rows)
            scores = self.reader.read_beams(unfinished.tokens[:, :, n_tokens - 1], parents)

    def _continue(
        self, unfinished: _Texts, scores: Tensor, n_tokens: int
    ) -> tuple[_Texts, Tensor, Tensor]:
        """The best ways to go on: more than there are beams, since some of them end.

        Returns:
            The candidates, the beam that each continues [A, C], and whether it ends there [A, C].
        """
        vocab_size = scores.shape[-1]
        log_probs = scores.log_softmax(dim=-1)
        totals = (log_probs + unfinished.scores[..., None]).flatten(1)  # [A, K * V]
        n_candidates = max(2, 1 + len(self.ends)) * self.num_beams
        best, numbers = totals.topk(min(n_candidates, totals.shape[1]), dim=1)
        parents, token_ids = numbers // vocab_size, numbers % vocab_size
        candidates = replace(unfinished.chosen(parents), scores=best)
        candidates.tokens[:, :, n_tokens] = token_ids
        candidates.log_probs[:, :, n_tokens] = log_probs.flatten(1).gather(1, numbers)
        ended = self.is_end(token_ids) | (n_tokens + 1 >= self.budgets)[:, None]
        return candidates, parents, ended

    def _add_finished(
        self, finished: _Texts, candidates: _Texts, ended: Tensor, n_tokens: int
    ) -> _Texts:
        """Add what has ended; only the first K candidates count, the others are in reserve."""
        counts = ended.clone()
        counts[:, self.num_beams :] = False
        if not bool(counts.any()):
            return finished
        if self._rescorer is None:
            scores = candidates.scores / n_tokens
        else:
            scores = self._joint_scores(self._rescorer, candidates, counts, n_tokens)
        added = replace(
            candidates,
            scores=torch.where(counts, scores, _IMPOSSIBLE),
            lengths=counts.long() * n_tokens,
        )
        return finished.best_with(added, self.num_beams)

    def _joint_scores(
        self, rescorer: CtcRescorer, candidates: _Texts, counts: Tensor, n_tokens: int
    ) -> Tensor:
        """The joint score of the candidates that count, [A, C]; nothing is said of the others."""
        scores = torch.zeros_like(candidates.scores)
        for row in counts.any(dim=1).nonzero()[:, 0].tolist():
            chosen = counts[row].nonzero()[:, 0]
            scores[row, chosen] = rescorer.joint_scores(
                int(self.clips[row]),
                candidates.tokens[row, chosen, :n_tokens].tolist(),
                candidates.scores[row, chosen],
            )
        return scores

    def _unfinished(
        self, candidates: _Texts, parents: Tensor, ended: Tensor
    ) -> tuple[_Texts, Tensor]:
        """The best K candidates that go on, and the beams they continue, [A, K]."""
        scores = candidates.scores + ended * _IMPOSSIBLE
        best, numbers = scores.topk(self.num_beams, dim=1)
        return replace(candidates.chosen(numbers), scores=best), parents.gather(1, numbers)

    def _can_improve(self, finished: _Texts, unfinished: _Texts, n_tokens: int) -> Tensor:
        """Which clips [A] may still find a better text.

        The search that is followed ends once the best unfinished text is no better than the worst
        of K finished ones. Often the best of them cannot be beaten long before: more tokens never
        raise a summed log-probability, so no later mean exceeds that sum over the whole budget. Nor
        do they raise what the heads think of any text that begins so.
        """
        best = unfinished.scores[:, 0]
        if self._rescorer is not None:
            return self._joint_can_improve(self._rescorer, finished, unfinished, n_tokens)
        hopeful = best / n_tokens > finished.scores.amin(dim=1)
        return hopeful & (best / self.budgets >= finished.scores[:, 0])

    def _joint_can_improve(
        self, rescorer: CtcRescorer, finished: _Texts, unfinished: _Texts, n_tokens: int
    ) -> Tensor:
        """Which clips [A] have a beam that the heads' view of its beginning leaves a hope."""
        rivals = [self.rivals.to_beat(clip) for clip in self.clips.tolist()]
        to_beat = finished.scores[:, 0].maximum(finished.scores.new_tensor(rivals))
        is_known = (finished.lengths[:, 0] > 0) | (to_beat > _IMPOSSIBLE)
        hopeful = (1 - rescorer.weight) * unfinished.scores > to_beat[:, None]  # [A, K]
        for row in (hopeful & is_known[:, None]).any(dim=1).nonzero()[:, 0].tolist():
            beams = hopeful[row].nonzero()[:, 0]
            bounds = rescorer.joint_bounds(
                int(self.clips[row]),
                unfinished.tokens[row, beams, :n_tokens].tolist(),
                unfinished.scores[row, beams],
            )
            hopeful[row, beams] = bounds > to_beat[row]
        return hopeful.any(dim=1)

    def _write_down(self, finished: _Texts, done: Tensor) -> None:
        """Keep the best text of the clips that are done."""
        best, clips = finished.of_clips(done), self.clips[done]
        lengths = best.lengths[:, 0]
        real = torch.arange(self.tokens.shape[1], device=lengths.device) < lengths[:, None]
        self.tokens[clips] = torch.where(real, best.tokens[:, 0], self.tokens[clips])
        self.log_probs[clips] = torch.where(real, best.log_probs[:, 0], 0.0)
        self.lengths[clips] = lengths
        scores = best.scores[:, 0] * (1 if self._rescorer else lengths)
        for clip, length, score in zip(
            clips.tolist(), lengths.tolist(), scores.tolist(), strict=True
        ):
            self.scores[clip] = score if length else -torch.inf

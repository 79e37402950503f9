"""Speculative decoding: another part proposes the text, the language model verifies it at once.

One pass reads prefix and proposal together; from the first token on that the language model would
have chosen otherwise, its own choice stands and the rest of the proposal is tried again after it.
Every token is the language model's likeliest one, so the text is that of plain greedy search.
Shapes: A clips still read, n proposed tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from avsr.decoding.incremental import IncrementalReader
from avsr.decoding.rivals import Rivals
from avsr.decoding.search import BatchSearch
from avsr.decoding.search_settings import SearchResult, SearchSettings
from avsr.decoding.sequence import TokenSequence


@dataclass
class _Row:
    """A clip that is still read.

    Attributes:
        clip: its number.
        budget: most tokens of its text.
        draft: the proposal.
        rest: what of it is to be tried next.
        choice: the language model's own token, which the rest of the draft follows; none at first.
        tokens: the text so far.
        log_probs: of its tokens.
    """

    clip: int
    budget: int
    draft: list[int]
    rest: list[int]
    choice: int | None = None
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)


class DraftSearch(BatchSearch):
    """Greedy search that verifies proposals instead of finding every token by itself.

    Args:
        language_model: any causal language model that attends to everything.
        prefix: of all clips.
        settings: of one beam.
        drafts: proposed token ids of each clip.
        embed: embeds token ids, [B, n] to [B, n, D].
        rivals: what competes with the texts that are found; None for nothing.

    Raises:
        ValueError: a model that forgets what it has read.
    """

    def __init__(
        self,
        language_model: Any,
        prefix: TokenSequence,
        settings: SearchSettings,
        drafts: Sequence[Sequence[int]],
        embed: Callable[[Tensor], Tensor],
        rivals: Rivals | None = None,
    ) -> None:
        super().__init__(language_model, prefix, settings, rivals)
        self.reader = IncrementalReader(language_model, max(settings.budgets))
        if not self.reader.keeps_all_positions:
            raise ValueError("a draft needs a language model whose layers attend to everything")
        self._embed = embed
        self._end_ids = frozenset(settings.end_ids)
        shortened = [
            list(draft[: budget - 1])
            for draft, budget in zip(drafts, settings.budgets, strict=True)
        ]
        self._rows = [
            _Row(clip=clip, budget=settings.budgets[clip], draft=draft, rest=draft)
            for clip, draft in enumerate(shortened)
        ]
        self._n_drafted = torch.tensor([len(row.draft) for row in self._rows])
        self._n_accepted = torch.zeros_like(self._n_drafted)

    def run(self) -> SearchResult:
        """Search until every clip has ended or used up its budget."""
        proposed = self._proposals()
        n_proposed = proposed.shape[1]
        mask = self.prefix.mask
        sequence = TokenSequence(
            embeds=torch.cat([self.prefix.embeds, self._embed(proposed)], dim=1),
            mask=None if mask is None else functional.pad(mask, (0, n_proposed), value=True),
        )
        scores = self.reader.read_prefix(sequence, n_scored=n_proposed + 1)
        for row, own in zip(self._rows, scores, strict=True):
            self._judge_draft(row, own)
        self._verify(scores, n_proposed)
        while self._rows:
            proposed = self._proposals()
            self._verify(self.reader.read(proposed), proposed.shape[1])
        return replace(self.result(), n_drafted=self._n_drafted, n_accepted=self._n_accepted)

    def _judge_draft(self, row: _Row, scores: Tensor) -> None:
        """Judge what stands in a row's prompt; the first scores [n, V] tell if that is proposed."""
        rivals = self.rivals.drafts(row.clip)
        if rivals == [[*row.draft, *self.settings.end_ids[:1]]]:
            text = scores.new_tensor(rivals[0], dtype=torch.long)[:, None]
            log_probs = scores[: len(text)].log_softmax(dim=-1).gather(-1, text)[:, 0]
            self.rivals.judge(row.clip, rivals, [log_probs])
        elif rivals:
            self.rivals.judge(row.clip, rivals, self.read_apart([row.clip], [rivals])[0])

    def _proposals(self) -> Tensor:
        """What each row reads next, [A, n]: its own last choice and the rest of its draft."""
        given = [
            torch.tensor([token for token in (row.choice, *row.rest) if token is not None])
            for row in self._rows
        ]
        return pad_sequence(given, batch_first=True).long().to(self.prefix.embeds.device)

    def _verify(self, scores: Tensor, n_read: int) -> None:
        """Write down what the scores [A, 1 + drafts, V] confirm and choose, and drop ended rows."""
        best, choices = scores.max(dim=-1)
        log_probs = (best - scores.logsumexp(dim=-1)).tolist()
        kept = torch.zeros((len(self._rows), n_read), dtype=torch.bool)
        going = []
        for number, row in enumerate(self._rows):
            n_given = row.choice is not None
            n_accepted, ended = self._accept(row, choices[number].tolist(), log_probs[number])
            kept[number, : n_given + n_accepted] = True
            if ended:
                self._write_down(row)
            elif not self.rivals.is_settled(row.clip):
                going.append(number)
        kept = kept.to(scores.device)
        if going:
            self.reader.forget(kept)
            if len(going) < len(self._rows):
                self.reader.keep_rows(torch.tensor(going, device=scores.device))
        self._rows = [self._rows[number] for number in going]

    def _write_down(self, row: _Row) -> None:
        n_tokens = len(row.tokens)
        self.tokens[row.clip, :n_tokens] = self.tokens.new_tensor(row.tokens)
        self.log_probs[row.clip, :n_tokens] = self.log_probs.new_tensor(row.log_probs)
        self.lengths[row.clip] = n_tokens
        self.scores[row.clip] = sum(row.log_probs)

    def _accept(
        self, row: _Row, choices: Sequence[int], log_probs: Sequence[float]
    ) -> tuple[int, bool]:
        """Follow the language model's choices as far as the draft agrees.

        Returns:
            How many tokens of the draft were right, and whether the text has ended.
        """
        for n_accepted, (choice, log_prob) in enumerate(zip(choices, log_probs, strict=True)):
            row.tokens.append(choice)
            row.log_probs.append(log_prob)
            agreed = n_accepted < len(row.rest) and row.rest[n_accepted] == choice
            self._n_accepted[row.clip] += agreed
            if choice in self._end_ids or len(row.tokens) >= row.budget:
                return n_accepted, True
            if not agreed:
                row.choice = choice
                row.rest = row.draft[resume_at(row.tokens, row.draft) :]
                return n_accepted, False
        raise AssertionError("one more position is scored than was proposed")


def resume_at(text: Sequence[int], draft: Sequence[int]) -> int:
    """Where in a draft the tokens begin that should follow a text.

    Where the best alignment (fewest tokens changed, missing or too many) of the text with a
    beginning of the draft ends; of several, the longest beginning.
    """
    costs = list(range(len(draft) + 1))  # of aligning the text so far with each beginning
    for n_tokens, token in enumerate(text, start=1):
        before, costs = costs, [n_tokens]
        for end, proposed in enumerate(draft, start=1):
            changed = before[end - 1] + (token != proposed)
            costs.append(min(changed, before[end] + 1, costs[end - 1] + 1))
    lowest = min(costs)
    return max(end for end, cost in enumerate(costs) if cost == lowest)

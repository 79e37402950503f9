"""Generation: from streams to tokens, for any mixture of modalities and rates in one batch.

Shapes: B batch, L new tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from avsr.decoding.ctc_scores import CtcRescorer
from avsr.decoding.draft import ctc_draft
from avsr.decoding.search import SearchSettings
from avsr.model_parts.adapted_language_model import AdaptedLanguageModel
from avsr.model_parts.generation import (
    AvsrGeneration,
    generate_tokens,
    merge_generations,
    search_settings,
    verify_drafts,
)
from avsr.model_parts.route import Route
from avsr.model_parts.sequence import TokenSequence, token_budget
from avsr.model_parts.streams import EncodedStreams, StreamInputs

DRAFTS = ("ctc",)  # what may propose the text to the language model


class GenerativeModel(AdaptedLanguageModel):
    """Encoders and language model with the searches that turn their scores into texts."""

    @torch.no_grad()
    def generate(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        *,
        num_beams: int = 1,
        ctc_weight: float = 0.0,
        max_new_tokens: int | None = None,
        draft: str | None = None,
        **inputs: Any,
    ) -> Tensor:
        """Transcribe by greedy (one beam) or beam search; never samples.

        Args:
            num_beams: width of the search.
            ctc_weight: 0 to 1, weight of the CTC heads of the streams used in choosing among the
                texts that the beams have found, see :mod:`avsr.decoding.ctc_scores`.
            max_new_tokens: bound on the tokens of each row; None: by its clip's duration.
            draft: "ctc": the encoder's CTC head proposes the text and the language model verifies
                it, which gives the tokens of greedy search in fewer steps.
            inputs: streams, modality and rates as in :meth:`forward`; labels are ignored.

        Returns:
            [B, L] new token ids, padded after EOS.
        """
        return self._generate(num_beams, ctc_weight, max_new_tokens, draft, **inputs).sequences

    @torch.no_grad()
    def generate_with_scores(
        self,
        *,
        num_beams: int = 1,
        ctc_weight: float = 0.0,
        max_new_tokens: int | None = None,
        draft: str | None = None,
        **inputs: Any,
    ) -> AvsrGeneration:
        """Like :meth:`generate`, with the log-probability of every token."""
        return self._generate(num_beams, ctc_weight, max_new_tokens, draft, **inputs)

    @torch.no_grad()
    def search_inputs(
        self, *, num_beams: int = 1, max_new_tokens: int | None = None, **inputs: Any
    ) -> tuple[TokenSequence, SearchSettings]:
        """What a search starts from, for measuring or for a search of one's own.

        Args:
            num_beams: width of the search.
            max_new_tokens: bound on the tokens of each row; None: by its clip's duration.
            inputs: streams, modality and rates as in :meth:`forward`, the same for all rows;
                their adapters act from now on.
        """
        _, routes, prefix, settings = self._prepare(num_beams, max_new_tokens, **inputs)
        self._activate(self._adapters(routes[0]))
        return prefix, settings

    def _prepare(
        self,
        num_beams: int,
        max_new_tokens: int | None,
        *,
        modality: str | Sequence[str] | None = None,
        audio_rate: int | Sequence[int | None] | None = None,
        video_rate: int | Sequence[int | None] | None = None,
        allow_untrained_rate: bool = False,
        labels: Tensor | None = None,
        **streams: Tensor,
    ) -> tuple[EncodedStreams, list[Route], TokenSequence, SearchSettings]:
        inputs = StreamInputs(**streams)
        routes = self._plan(inputs, modality, audio_rate, video_rate, allow_untrained_rate)
        encoded = self._encode(inputs, routes)
        per_second = self.config.max_tokens_per_second
        budgets = [
            max_new_tokens or token_budget(seconds, per_second) for seconds in encoded.durations_s()
        ]
        settings = search_settings(
            self.language_model.generation_config, num_beams=num_beams, budgets=budgets
        )
        return encoded, routes, self._build_prefix(encoded, routes), settings

    def _generate(
        self,
        num_beams: int,
        ctc_weight: float,
        max_new_tokens: int | None,
        draft: str | None,
        **inputs: Any,
    ) -> AvsrGeneration:
        if draft not in (None, *DRAFTS):
            raise ValueError(f'draft must be one of {", ".join(DRAFTS)} or None, got "{draft}"')
        encoded, routes, prefix, settings = self._prepare(num_beams, max_new_tokens, **inputs)
        drafts = None if draft is None else self._drafts(encoded, routes)
        rescorer = None
        if ctc_weight and num_beams > 1:
            scores = self._ctc_scores(encoded, routes)
            if all(scores):  # a stream without a head leaves the language model alone
                rescorer = CtcRescorer(logits=scores, weight=ctc_weight, end_ids=settings.end_ids)
        groups = self._adapter_groups(routes)
        parts = []
        for adapters, rows in groups.items():
            self._activate(adapters)
            part = prefix if len(groups) == 1 else prefix.rows(rows)
            chosen = settings.of_clips(rows)
            if drafts is None:
                helper = None if rescorer is None else rescorer.of_clips(rows)
                found = generate_tokens(self.language_model, part, chosen, helper)
            else:
                proposed = [drafts[row] for row in rows]
                found = verify_drafts(self.language_model, part, chosen, proposed, self._embed)
            parts.append((rows, found))
        return merge_generations(parts, settings.pad_id)

    def _drafts(self, encoded: EncodedStreams, routes: Sequence[Route]) -> list[list[int]]:
        """Read each row's sound, or lips where its sound is not used, by the CTC heads there are.

        Raises:
            ValueError: there is no CTC head.
        """
        drafts = []
        for scores in self._ctc_scores(encoded, routes):
            length = torch.tensor([len(scores[0])]) if scores else None
            drafts.append([] if length is None else ctc_draft(scores[0][None], length)[0])
        return drafts

    def _ctc_scores(self, encoded: EncodedStreams, routes: Sequence[Route]) -> list[list[Tensor]]:
        """What the CTC heads make of the streams that each row uses, [T, V + 1], sound first.

        Raises:
            ValueError: there is no CTC head.
        """
        heads = {"audio": self.audio_ctc_head, "video": self.video_ctc_head}
        if not any(head is not None for head in heads.values()):
            raise ValueError(
                "this model has no CTC head, so nothing can propose or judge a text: decode "
                "without draft and without ctc_weight"
            )
        scores: list[list[Tensor]] = [[] for _ in routes]
        for row, route in enumerate(routes):
            used = {"audio": route.has_audio, "video": route.has_video}
            for stream, encoded_stream in (("audio", encoded.audio), ("video", encoded.video)):
                if encoded_stream is None or not used[stream] or heads[stream] is None:
                    continue
                chosen = encoded_stream.rows(torch.tensor([row]))  # scores of all would be large
                logits = self.ctc_logits(**{f"{stream}_features": chosen.features})
                scores[row].append(logits[0, : int(chosen.lengths[0])])
        return scores

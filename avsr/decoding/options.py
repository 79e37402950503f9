"""How texts are searched for: the options that travel from a request to the search.

A new option is a field here, its check in :meth:`SearchOptions.resolved`, and the search that
obeys it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from avsr.errors import SettingError

if TYPE_CHECKING:
    from transformers import GenerationConfig

DRAFTS = ("ctc", "none")  # what may propose the text to the language model


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What is asked of a search; None is what the model was made for.

    Attributes:
        num_beams: 1 is greedy.
        ctc_weight: 0 to 1, weight of the CTC heads of the streams used in choosing among the texts
            that the beams have found, see :mod:`avsr.decoding.ctc_scores`.
        ctc_texts: so many of the most probable texts of each CTC head compete with what the beams
            have found, where the heads have a weight, see :mod:`avsr.decoding.rivals`.
        draft: what proposes a text to the language model. None: the audio encoder's own decoder,
            where the model takes its drafts in the prompt, else nothing; "none": nothing; "ctc":
            the encoder's CTC head proposes and the language model verifies, which gives the tokens
            of greedy search without a draft in fewer steps.
        draft_margin: by how much log-probability per token a text must surpass the draft in the
            prompt to stand in place of it; minus infinity: always, infinity: never.
        max_new_tokens: bound on the tokens of each text; None: by its clip's duration.
        fusion: whether recognition judges a reading of sound and lips by those of either, where the
            model brings numbers for it, see :mod:`avsr.recognition.fusion`.
    """

    num_beams: int | None = None
    ctc_weight: float | None = None
    ctc_texts: int | None = None
    draft: str | None = None
    draft_margin: float | None = None
    max_new_tokens: int | None = None
    fusion: bool = True

    def __str__(self) -> str:
        """Such as ``greedy``, ``ctc draft`` or ``beam 8``; of resolved options."""
        if self.draft == "ctc":
            return "ctc draft"
        return "greedy" if self.num_beams == 1 else f"beam {self.num_beams}"

    def resolved(self, defaults: "GenerationConfig", heads: Mapping[str, bool]) -> "SearchOptions":
        """Check the options and put the model's own in place of None.

        Args:
            defaults: the model's ``generation_config``: ``num_beams``, ``ctc_weight``,
                ``ctc_texts`` and ``draft_margin``; without the last one drafts only stand in the
                prompt. ``ctc_weight_without_draft`` takes the place of ``ctc_weight`` where the
                draft in the prompt is left out.
            heads: for each stream in question, whether the model has a CTC head for it.

        Raises:
            SettingError: naming the option and what stands against it.
        """
        if self.num_beams is not None and self.num_beams < 1:
            message = f"num_beams must be at least 1, got {self.num_beams}"
            raise SettingError(message, settings=("num_beams",))
        if self.ctc_weight is not None and not 0 <= self.ctc_weight <= 1:
            message = f"ctc_weight must be from 0 to 1, got {self.ctc_weight:g}"
            raise SettingError(message, settings=("ctc_weight",))
        if (self.ctc_texts or 0) < 0:
            message = f"ctc_texts must be at least 0, got {self.ctc_texts}"
            raise SettingError(message, settings=("ctc_texts",))
        if self.draft not in (None, *DRAFTS):
            message = f'draft must be one of {", ".join(DRAFTS)} or None, got "{self.draft}"'
            raise SettingError(message, settings=("draft",))
        if self.draft == "ctc" and (self.num_beams or 1) > 1:
            raise SettingError(
                f"a draft goes with greedy search only, got {self.num_beams} beams: leave out one",
                settings=("draft", "num_beams"),
            )
        for name, wanted in (("draft", self.draft == "ctc"), ("ctc_weight", self.ctc_weight)):
            if wanted and not any(heads.values()):
                raise SettingError(
                    f"the model has no CTC head for {' or '.join(heads)}, so nothing can propose "
                    f"or judge a text: leave out {name}",
                    settings=(name,),
                )
        default_beams = getattr(defaults, "num_beams", None) or 1
        num_beams = self.num_beams or (1 if self.draft == "ctc" else default_beams)
        weight = self.ctc_weight
        if weight is None and self.draft is not None:
            weight = getattr(defaults, "ctc_weight_without_draft", None)
        if weight is None:
            weight = getattr(defaults, "ctc_weight", None) or 0.0
        if num_beams == 1 or not any(heads.values()):
            weight = 0.0
        margin, texts = self.draft_margin, self.ctc_texts
        if margin is None:
            margin = getattr(defaults, "draft_margin", None)
        if texts is None:
            texts = getattr(defaults, "ctc_texts", None) or 0
        return replace(
            self,
            num_beams=num_beams,
            ctc_weight=weight,
            ctc_texts=texts if weight else 0,
            draft_margin=margin,
        )


def take_search(keywords: Mapping[str, Any]) -> tuple[SearchOptions, dict[str, Any]]:
    """Part keywords into the search they ask for and all others.

    Args:
        keywords: ``search``, or single options of it by name, among others.

    Raises:
        TypeError: both are given.
    """
    names = [field.name for field in fields(SearchOptions)]
    others = {name: value for name, value in keywords.items() if name not in (*names, "search")}
    single = {name: keywords[name] for name in names if name in keywords}
    search = keywords.get("search")
    if search is not None and single:
        raise TypeError(f"give search or {', '.join(single)}, not both")
    return search or SearchOptions(**single), others

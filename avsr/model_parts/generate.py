"""From encoded streams to tokens, for any mixture of routes in one batch."""

from collections.abc import Sequence

from avsr.decoding.ctc_scores import CtcRescorer
from avsr.decoding.generation import (
    AvsrGeneration,
    generate_tokens,
    merge_generations,
    verify_drafts,
)
from avsr.decoding.incremental import IncrementalReader
from avsr.decoding.options import SearchOptions
from avsr.decoding.rivals import Rivals
from avsr.decoding.search_settings import SearchSettings
from avsr.decoding.sequence import TokenSequence, token_budget
from avsr.model_parts.adapters import adapter_groups
from avsr.model_parts.ctc import clip_scores, ctc_heads
from avsr.model_parts.parts import ModelParts
from avsr.model_parts.prefix import Drafts, build_prefix
from avsr.model_parts.streams import EncodedStreams
from avsr.route import Route


def search_inputs(
    model: ModelParts,
    streams: EncodedStreams,
    routes: Sequence[Route],
    search: SearchOptions,
    drafts: Drafts | None = None,
) -> tuple[TokenSequence, SearchSettings]:
    """Prefix and settings that a search of these clips starts from.

    Raises:
        ValueError: search options that the model cannot follow.
    """
    options = search.resolved(model.generation_config, ctc_heads(model))
    per_second = model.config.max_tokens_per_second
    budgets = [
        options.max_new_tokens or token_budget(seconds, per_second)
        for seconds in streams.durations_s(routes)
    ]
    settings = SearchSettings.of_batch(options, model.generation_config, budgets)
    return build_prefix(model, streams, routes, drafts), settings


def generate(
    model: ModelParts,
    streams: EncodedStreams,
    routes: Sequence[Route],
    search: SearchOptions,
    drafts: Drafts | None = None,
) -> AvsrGeneration:
    """Search the texts of all clips; clips that the same adapters serve are read together."""
    prefix, settings = search_inputs(model, streams, routes, search, drafts)
    proposals = _proposals(model, streams, routes, settings, drafts)
    rescorer = _rescorer(model, streams, routes, settings)
    groups = adapter_groups(model.config, routes)
    parts = []
    for adapters, rows in groups.items():
        model.activate(adapters)
        part = prefix if len(groups) == 1 else prefix.rows(rows)
        chosen = settings.of_clips(rows)
        rivals = Rivals(
            chosen,
            None if drafts is None else [drafts[row] for row in rows],
            None if rescorer is None else rescorer.of_clips(rows),
        )
        if proposals is None:
            found = generate_tokens(model.language_model, part, chosen, rivals)
        else:
            embed = model.get_input_embeddings()
            proposed = [proposals[row] for row in rows]
            found = verify_drafts(model.language_model, part, chosen, proposed, embed, rivals)
        parts.append((rows, found))
    return merge_generations(parts, settings.pad_id)


def _proposals(
    model: ModelParts,
    streams: EncodedStreams,
    routes: Sequence[Route],
    settings: SearchSettings,
    drafts: Drafts | None,
) -> list[Sequence[int]] | None:
    """What greedy search is to verify instead of finding every token by itself.

    The text of a CTC head of each clip's sound, or of its lips where its sound is not used, if that
    was asked for; else the draft in its prompt, where there is one and the language model attends
    to everything.
    """
    if settings.options.draft == "ctc":
        heads = clip_scores(model, streams, routes)
        return [own[0].greedy_text() if own else [] for own in heads]
    if settings.num_beams > 1 or drafts is None or not any(drafts):
        return None
    reads_at_once = IncrementalReader(model.language_model, 0).keeps_all_positions
    return [draft or () for draft in drafts] if reads_at_once else None


def _rescorer(
    model: ModelParts,
    streams: EncodedStreams,
    routes: Sequence[Route],
    settings: SearchSettings,
) -> CtcRescorer | None:
    weight = settings.options.ctc_weight
    if not weight:
        return None
    scores = clip_scores(model, streams, routes)
    if not all(scores):  # a stream without a head leaves the language model alone
        return None
    return CtcRescorer(scores=scores, weight=weight, end_ids=settings.end_ids)

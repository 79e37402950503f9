"""Which LoRA adapters serve a route, and reading with them."""

from collections.abc import Sequence

from torch import Tensor

from avsr.config import AvsrConfig
from avsr.decoding.rows import group_rows, restore_rows, row_order
from avsr.decoding.sequence import TokenSequence
from avsr.model_parts.parts import ModelParts
from avsr.route import Route, nearest_rate
from avsr_adapters import active_adapters

__all__ = [
    "adapter_groups",
    "adapters_of",
    "score_sequence",
]


def adapters_of(config: AvsrConfig, route: Route) -> tuple[str, ...]:
    """Names of the adapters that serve a route; empty without LoRA.

    Clips that the same adapters serve can be read together. An untrained rate uses the nearest
    one's.
    """
    if config.lora_strategy is None:
        return ()
    rates = [
        None if rate is None else nearest_rate(trained, rate)
        for trained, rate in (
            (config.audio_rates, route.audio_rate),
            (config.video_rates, route.video_rate),
        )
    ]
    return active_adapters(config.lora_strategy, route.task, *rates)


def adapter_groups(config: AvsrConfig, routes: Sequence[Route]) -> dict[tuple[str, ...], list[int]]:
    """Numbers of clips by the adapters they need."""
    return group_rows([adapters_of(config, route) for route in routes])


def score_sequence(
    model: ModelParts,
    sequence: TokenSequence,
    routes: Sequence[Route],
    *,
    logits_to_keep: int = 0,
    with_hidden_states: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Let the language model read whole sequences, each with the adapters of its route.

    Args:
        model: the model.
        sequence: prefixes, or prefixes and texts, of B clips.
        routes: of each clip.
        logits_to_keep: only the last positions' logits; 0 for all S.
        with_hidden_states: whether to return them.

    Returns:
        Logits [B, S, V] and, if asked for, the hidden states of each layer [B, S, D].
    """
    groups = adapter_groups(model.config, routes)
    outputs = []
    for adapters, rows in groups.items():
        model.activate(adapters)
        part = sequence if len(groups) == 1 else sequence.rows(rows)
        outputs.append(
            model.language_model(
                inputs_embeds=part.embeds,
                attention_mask=None if part.mask is None else part.mask.long(),
                position_ids=part.positions(),
                use_cache=False,
                output_hidden_states=with_hidden_states,
                logits_to_keep=logits_to_keep,
            )
        )
    back = row_order(list(groups.values()))
    logits = restore_rows([output.logits for output in outputs], back)
    if not with_hidden_states:
        return logits, []
    layers = zip(*(output.hidden_states for output in outputs), strict=True)
    return logits, [restore_rows(layer, back) for layer in layers]

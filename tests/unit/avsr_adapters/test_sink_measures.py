import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import avsr_adapters.attention_tap as attention_tap
from avsr_adapters import (
    AttentionStatistics,
    cosine_to_first,
    decorrelation_loss,
    find_sinks,
    magnitude_ratios,
    observed_layers,
    tapped_attention,
)


def small_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20, hidden_size=24, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def padded_batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, 20, (2, 17), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 17, dtype=torch.bool)
    mask[1, :5] = False
    return ids, mask


@torch.no_grad()
@pytest.mark.parametrize("block", [1, 10**9])  # query by query, and all at once
def test_tapped_attention_is_the_models_own(block, monkeypatch):
    model, (ids, mask) = small_llama(), padded_batch()
    expected = model(input_ids=ids, attention_mask=mask.long()).logits
    statistics = AttentionStatistics(mask, keep_maps=True)
    monkeypatch.setattr(attention_tap, "BLOCK_ELEMENTS", block)
    with tapped_attention(model, statistics):
        logits = model(input_ids=ids, attention_mask=mask.long()).logits
    torch.testing.assert_close(logits[mask], expected[mask], atol=1e-5, rtol=0)
    model.set_attn_implementation("eager")
    maps = model(input_ids=ids, attention_mask=mask.long(), output_attentions=True).attentions
    for layer, expected_map in enumerate(maps):
        torch.testing.assert_close(
            statistics.maps[layer][mask], expected_map.mean(dim=1)[mask], atol=1e-6, rtol=0
        )


@torch.no_grad()
def test_padding_changes_no_statistic():
    model, (ids, mask) = small_llama(), padded_batch()
    both, alone = AttentionStatistics(mask), AttentionStatistics(mask[1:, 5:])
    with tapped_attention(model, both):
        model(input_ids=ids, attention_mask=mask.long())
    with tapped_attention(model, alone):
        model(input_ids=ids[1:, 5:])
    for measure in ("received", "coverage"):
        padded, single = getattr(both, measure)()[:, 1:], getattr(alone, measure)()
        torch.testing.assert_close(padded[..., 5:], single, atol=1e-5, rtol=0)
        assert float(padded[..., :5].abs().sum()) == 0


def statistics_of(weights: torch.Tensor) -> AttentionStatistics:
    """Of one layer, one head."""
    statistics = AttentionStatistics(torch.ones(1, len(weights), dtype=torch.bool))
    statistics(0, 0, weights[None, None])
    return statistics


def test_received_attention_of_uniform_attention():
    n = 30
    uniform = torch.tril(torch.ones(n, n)) / torch.arange(1, n + 1)[:, None]
    statistics = statistics_of(uniform)
    expected = torch.stack([uniform[i:, i].mean() for i in range(n)])
    torch.testing.assert_close(statistics.received()[0, 0], expected)
    assert not find_sinks(statistics).any()


def test_neighbours_and_themselves_are_no_sinks():
    n = 30
    for shift in (0, 1, 2):
        diagonal = torch.zeros(n, n)
        for query in range(n):
            diagonal[query, max(0, query - shift)] = 1.0
        sinks = find_sinks(statistics_of(diagonal))
        assert not sinks.any(), shift


def test_a_column_is_a_sink_wherever_it_stands():
    n = 30
    for column in (0, 11, 20):
        weights = torch.tril(torch.ones(n, n))
        weights[column:, column] = 20.0
        weights /= weights.sum(dim=1, keepdim=True)
        assert find_sinks(statistics_of(weights))[0, 0].nonzero().flatten().tolist() == [column]
    late = torch.tril(torch.ones(n, n))
    late[n - 4 :, n - 4] = 20.0
    assert not find_sinks(statistics_of(late / late.sum(dim=1, keepdim=True))).any()


def test_magnitudes_and_cosines():
    hidden = torch.ones(2, 4, 3)
    hidden[0, 2, 1] = -5000.0
    hidden[1, :1] = 99.0  # padding
    mask = torch.tensor([[True] * 4, [False, True, True, True]])
    ratios = magnitude_ratios(hidden, mask)
    assert ratios[0, 2].tolist() == [1.0, 5000.0, 1.0]
    assert ratios[1, 1:].eq(1).all()
    cosines = cosine_to_first(hidden, mask)
    torch.testing.assert_close(cosines[1], torch.ones(4))
    assert cosines[0, 2].item() == pytest.approx(-1 / 3**0.5, abs=1e-2)


@torch.no_grad()
def test_observed_layers_are_the_hidden_states():
    model = small_llama()
    ids = torch.randint(0, 20, (1, 9))
    seen = {}
    with observed_layers(model, lambda layer, place, value: seen.update({(layer, place): value})):
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    torch.testing.assert_close(seen[0, "embeddings"], states[0])
    for layer in (1, 2):
        torch.testing.assert_close(seen[layer, "output"], states[layer])
        before = seen[layer - 1, "output"] if layer > 1 else seen[0, "embeddings"]
        parts = seen[layer, "attention"] + seen[layer, "mlp"]
        torch.testing.assert_close(before + parts, states[layer], atol=1e-5, rtol=1e-4)
    cosines = torch.stack([cosine_to_first(states[2], torch.ones(1, 9, dtype=torch.bool))])
    loss = decorrelation_loss(states, torch.ones(1, 9, dtype=torch.bool))
    assert loss.item() == pytest.approx(cosines[..., 1:].square().mean().item(), rel=1e-5)


@torch.no_grad()
def test_an_observer_may_replace_what_it_sees():
    model = small_llama()
    ids = torch.randint(0, 20, (1, 9))
    plain = model(input_ids=ids).logits

    def silence(layer, place, value):
        return torch.zeros_like(value) if (layer, place) == (2, "output") else None

    with observed_layers(model, silence):
        changed = model(input_ids=ids).logits
    assert not torch.allclose(plain, changed)
    torch.testing.assert_close(model(input_ids=ids).logits, plain)

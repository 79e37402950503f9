import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

from avsr.route import Route
from avsr.sinks import (
    SinkSettings,
    analyse_prefix,
    analyse_sinks,
    gate_units,
    label_tokens,
    rotation_test,
)
from avsr.sinks.results import analysis_to_dict
from tests.planted import marked_embeddings, planted_model
from tests.tiny import PROMPT_IDS, tiny_config, tiny_model, tiny_streams

N_TOKENS = 60


@pytest.mark.parametrize(
    ("planted", "features", "born_in", "attended_in"),
    [
        ((0, 7, 12), (5, 11), 2, (3, 4)),
        ((0,), (40,), 1, (2, 3, 4, 5)),
        ((20, 21), (9, 33, 50), 3, (5,)),
    ],
)
def test_planted_sinks_are_found_exactly(planted, features, born_in, attended_in):
    model = planted_model(features, born_in, attended_in)
    analysis = analyse_prefix(model, marked_embeddings(N_TOKENS, planted))
    assert tuple(sink.index for sink in analysis.sinks) == planted
    for sink in analysis.sinks:
        assert sink.layers == attended_in
        assert sink.massive_features == features
        assert sink.massive_layers == tuple(range(born_in, analysis.n_layers + 1))
        (origin,) = sink.origins
        assert (origin.first, origin.last) == (attended_in[0], attended_in[-1])
        assert (origin.layer, origin.part) == (born_in, "mlp")
        assert origin.feature in features
    massive_tokens = {token for found in analysis.massive.values() for token in found}
    assert massive_tokens == set(planted)


def test_no_sinks_in_a_model_without_them():
    for tokens in ((), (0, 7, 12)):
        analysis = analyse_prefix(planted_model((), 2, ()), marked_embeddings(N_TOKENS, tokens))
        assert analysis.sinks == ()
        assert analysis.massive == {}
    analysis = analyse_prefix(planted_model((5, 11), 2, ()), marked_embeddings(N_TOKENS, ()))
    assert analysis.sinks == ()
    assert analysis.massive == {}
    tiny = tiny_model().language_model
    generator = torch.Generator().manual_seed(0)
    analysis = analyse_prefix(tiny, torch.randn(1, 50, 24, generator=generator))
    assert analysis.massive == {}


def test_attention_without_massive_activations_is_told_apart():
    """Tokens may be massive and not attended, and a massive one alone is no sink."""
    model = planted_model((5, 11), 2, ())
    analysis = analyse_prefix(model, marked_embeddings(N_TOKENS, (0, 7)))
    assert analysis.sinks == ()
    assert set(analysis.massive) == {2, 3, 4, 5}


def test_thresholds_can_be_changed():
    model = planted_model((5, 11), 2, (3, 4))
    embeds = marked_embeddings(N_TOKENS, (0, 7, 12))
    none = analyse_prefix(model, embeds, settings=SinkSettings(factor=30, massive=1e6))
    assert none.sinks == ()
    assert none.massive == {}
    with_uniform = analyse_prefix(model, embeds, settings=SinkSettings(factor=0.5))
    assert len(with_uniform.sinks) > 3


def test_statistics_equal_those_of_full_maps_and_hidden_states():
    model = planted_model((5, 11), 2, (3, 4))
    embeds = marked_embeddings(30, (0, 7))
    analysis = analyse_prefix(model, embeds, settings=SinkSettings(maps=True, map_layer=3))
    model.set_attn_implementation("eager")
    with torch.no_grad():
        output = model(inputs_embeds=embeds, output_attentions=True, output_hidden_states=True)
    maps = torch.stack(output.attentions)[:, 0].mean(dim=1)  # [L, S, S]
    expected = torch.stack([maps[:, i:, i].mean(dim=1) for i in range(30)], dim=1)
    np.testing.assert_allclose(analysis.received, expected.numpy(), atol=1e-6)
    assert analysis.attention_map is not None
    np.testing.assert_allclose(analysis.attention_map, maps.mean(dim=0).numpy(), atol=1e-6)
    states = torch.stack(output.hidden_states)[:-1, 0]  # the last one is after the final norm
    cosines = torch.nn.functional.cosine_similarity(states, states[:, :1], dim=-1)
    np.testing.assert_allclose(analysis.cosines[:-1], cosines.numpy(), atol=1e-5)
    ratios = states.abs().amax(dim=-1) / states.abs().flatten(1).median(dim=1).values[:, None]
    np.testing.assert_allclose(analysis.peaks[:-1], ratios.numpy(), rtol=1e-5)
    inner = torch.nn.functional.normalize(states[3], dim=-1)
    assert analysis.token_cosines is not None
    np.testing.assert_allclose(analysis.token_cosines, (inner @ inner.T).numpy(), atol=1e-5)


def test_rotation_makes_sinks_vanish_and_appear():
    model = planted_model((5, 11), 2, (3, 4))
    embeds = marked_embeddings(N_TOKENS, (0, 7))
    before = analyse_prefix(model, embeds)
    away, towards = rotation_test(before, lambda edit: analyse_prefix(model, embeds, edit=edit))
    assert away.token in (0, 7)
    assert (away.layer, away.first, away.last) == (1, 3, 4)
    assert (away.was_sink, away.is_sink) == (True, False)
    assert away.peak[1] < 1000 < away.peak[0]
    assert towards.token not in (0, 7)
    assert (towards.towards, towards.was_sink, towards.is_sink) == (0, False, True)
    assert towards.peak[0] < 1000 < towards.peak[1]
    assert [s.index for s in towards.after.sinks] == sorted([0, 7, towards.token])
    again = analyse_prefix(model, embeds)  # nothing of the test stays behind
    np.testing.assert_array_equal(again.received, before.received)


def test_a_sink_that_is_erased_and_made_again_has_two_origins():
    model = planted_model((5, 11), 2, (3,), n_layers=9)
    layers: Any = model.model.layers
    with torch.no_grad():  # layer 4 takes away what layer 2 has made; layer 6 makes it anew
        for number, sign in ((4, -1), (6, 1)):
            for name in ("gate_proj", "up_proj", "down_proj"):
                source = layers[1].mlp.get_submodule(name).weight
                factor = sign if name == "down_proj" else 1
                layers[number - 1].mlp.get_submodule(name).weight.copy_(factor * source)
        for name in ("q_proj", "k_proj"):
            for layer in layers[6:8]:
                for part in ("weight", "bias"):
                    source = getattr(layers[2].self_attn.get_submodule(name), part)
                    getattr(layer.self_attn.get_submodule(name), part).copy_(source)
    embeds = marked_embeddings(N_TOKENS, (0, 7))
    before = analyse_prefix(model, embeds)
    for sink in before.sinks:
        assert sink.layers == (3, 7, 8)
        assert [(o.first, o.last, o.layer) for o in sink.origins] == [(3, 3, 2), (7, 8, 6)]
    turned = rotation_test(before, lambda edit: analyse_prefix(model, embeds, edit=edit))
    assert [(r.layer, r.was_sink, r.is_sink) for r in turned] == [
        (1, True, False), (5, True, False), (1, False, True), (5, False, True),
    ]  # fmt: skip


def test_the_hidden_unit_that_makes_planted_sinks_is_named():
    model = planted_model((5, 11), 2, (3, 4))
    embeds = marked_embeddings(N_TOKENS, (0, 7))

    def run():
        model(inputs_embeds=embeds, use_cache=False)

    analysis = analyse_sinks(model, run)
    units = gate_units(model, run, analysis)
    strongest = [unit for unit in units if unit.share > 0.5]
    assert [(u.token, u.layer, u.unit) for u in strongest] == [(0, 2, 0), (7, 2, 0)]
    for unit in strongest:
        assert unit.feature in (5, 11)
        assert unit.share == pytest.approx(1, abs=0.01)
        assert unit.others < 0 < unit.gate
    torch.manual_seed(0)
    ungated = GPT2LMHeadModel(GPT2Config(n_embd=24, n_layer=3, n_head=4, vocab_size=40)).eval()
    rows = torch.randn(1, 30, 24)
    all_sinks = SinkSettings(factor=0.1, coverage=0.1)  # every token is called one

    def run_ungated():
        ungated(inputs_embeds=rows, use_cache=False)

    found = analyse_sinks(ungated, run_ungated, settings=all_sinks)
    assert found.sinks
    assert gate_units(ungated, run_ungated, found) == ()


@pytest.mark.parametrize("family", ["qwen2", "gpt2"])
def test_other_causal_language_models(family):
    torch.manual_seed(0)
    sizes: Any = {"vocab_size": 40, "bos_token_id": 1, "eos_token_id": 2}
    if family == "qwen2":
        model = Qwen2ForCausalLM(
            Qwen2Config(hidden_size=24, intermediate_size=48, num_hidden_layers=3,
                        num_attention_heads=4, num_key_value_heads=2, **sizes)
        )  # fmt: skip
    else:
        model = GPT2LMHeadModel(GPT2Config(n_embd=24, n_layer=3, n_head=4, **sizes))
    analysis = analyse_prefix(model.eval(), torch.randn(1, 30, 24))
    assert analysis.received.shape == (3, 30)
    assert analysis.cosines.shape == analysis.peaks.shape == (4, 30)
    np.testing.assert_allclose(analysis.cosines[:, 0], 1, atol=1e-5)


def test_labels_name_every_token_of_the_whole_model():
    model = tiny_model()
    features = tiny_streams([25])
    rates = {"audio_rate": 4, "video_rate": 5}
    route = Route(modality="av", **rates)
    n_tokens = {"audio": 50 // 4, "video": 25 // 5}
    prompt = [f"p{i}" for i in PROMPT_IDS["av"]]
    labels = label_tokens(model.config, route, n_tokens, prompt, text=["▁bin", "</s>"], start_s=2.0)
    assert labels[0].name == "BOS"
    assert labels[2].name == "audio 2.00-2.08 s"
    assert labels[-1].name == 'text "</s>"'
    assert [label.kind for label in labels].count("marker") == 4
    text = torch.tensor([[8, 2]])

    def run():
        model(streams=features, labels=text, modality="av", **rates)

    analysis = analyse_sinks(model.language_model, run, labels)
    assert analysis.received.shape == (3, len(labels))
    with pytest.raises(ValueError, match="labels for"):
        analyse_sinks(model.language_model, run, labels[:-1])


def test_labels_without_bos():
    config = tiny_config(bos_token_id=None)
    labels = label_tokens(config, Route(modality="video", video_rate=5), {"video": 2})
    assert [label.name for label in labels] == [
        "<video>", "video 0.00-0.20 s", "video 0.20-0.40 s", "</video>",
    ]  # fmt: skip


def test_decorrelation_of_the_analysis_is_the_loss():
    model = tiny_model()
    features, rates = tiny_streams([25]), {"audio_rate": 4, "video_rate": 5}
    prefix = []
    with torch.no_grad():
        loss = model(
            streams=features,
            labels=torch.tensor([[8, 2]]),
            modality="av",
            decorrelation_layers="paper",
            **rates,
        )

        def run():
            model(streams=features, modality="av", **rates)

        prefix.append(analyse_sinks(model.language_model, run).decorrelation)
    assert prefix[0] == pytest.approx(loss.decorrelation_loss.item(), rel=1e-5)


def test_results_are_plain_and_repeatable():
    model = planted_model((5, 11), 2, (3, 4))
    embeds = marked_embeddings(N_TOKENS, (0, 7))
    first, second = (json.dumps(analysis_to_dict(analyse_prefix(model, embeds))) for _ in "ab")
    assert first == second
    values = json.loads(first)
    assert [sink["index"] for sink in values["sinks"]] == [0, 7]
    assert values["sinks"][0]["massive_features"] == [5, 11]
    assert {m["token"] for m in values["massive_activations"]} == {0, 7}


def test_more_than_one_row_or_call_is_refused():
    model = planted_model((5,), 2, ())
    embeds = marked_embeddings(10, ())
    with pytest.raises(ValueError, match="one row"):
        analyse_prefix(model, embeds.expand(2, -1, -1))
    with pytest.raises(ValueError, match="not called"):
        analyse_sinks(model, lambda: None)
    assert model.config._attn_implementation == "sdpa"  # restored after an error, too
    assert replace(SinkSettings(), maps=True).maps

from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from avsr_adapters import (
    STRATEGIES,
    LoraAdapters,
    active_adapters,
    adapter_names,
    linear_layer_names,
)

TASKS = ("asr", "vsr", "avsr")


def language_model() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=2)
    ).eval()  # fmt: skip


def adapted(names=("shared", "own"), **options) -> tuple[Any, LoraAdapters]:
    model = language_model()
    settings = {"rank": 3, "scaling": 0.5, "target_modules": ["q_proj", "v_proj"], **options}
    lora = LoraAdapters(model, names, **settings)
    with torch.no_grad():
        for parameter in lora.parameters():
            parameter.normal_(std=0.5)
    return model, lora


def logits(model: nn.Module) -> torch.Tensor:
    return model(torch.tensor([[1, 5, 7, 3]])).logits


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("shared", [("shared",)] * 3),
        ("per_rate", [("a4",), ("v2",), ("a4_v2",)]),
        ("shared+per_rate", [("shared", "a4"), ("shared", "v2"), ("shared", "a4_v2")]),
        ("per_task", [("asr",), ("vsr",), ("avsr",)]),
        ("shared+per_task", [("shared", "asr"), ("shared", "vsr"), ("shared", "avsr")]),
    ],
)
def test_which_adapters_act(strategy, expected):
    assert [active_adapters(strategy, task, 4, 2) for task in TASKS] == expected


def test_every_active_adapter_exists():
    for strategy in STRATEGIES:
        names = adapter_names(strategy, TASKS, [4, 16], [2, 5])
        assert len(set(names)) == len(names)
        for task in TASKS:
            for audio_rate in (4, 16):
                for video_rate in (2, 5):
                    assert set(active_adapters(strategy, task, audio_rate, video_rate)) <= set(
                        names
                    )
    assert len(adapter_names("per_rate", TASKS, [4, 16], [2, 5])) == 8
    assert len(adapter_names("per_rate", ["avsr"], [4, 16], [2, 5])) == 4


def test_unknown_strategy():
    with pytest.raises(ValueError, match="shared\\+per_task"):
        active_adapters("both", "asr", 4, 2)


def test_active_adapters_add_scaled_low_rank_updates():
    model, lora = adapted()
    layer = model.model.layers[0].self_attn.q_proj
    hidden = torch.randn(2, 16)
    base = layer.base_layer(hidden)
    update = {name: 0.5 * layer.lora_B[name](layer.lora_A[name](hidden)) for name in lora.names}
    lora.activate(("shared", "own"))
    torch.testing.assert_close(layer(hidden), base + update["shared"] + update["own"])
    lora.activate(("own",))
    torch.testing.assert_close(layer(hidden), base + update["own"])
    lora.activate(())
    torch.testing.assert_close(layer(hidden), base)


def test_new_adapters_change_nothing():
    model = language_model()
    before = logits(model)
    LoraAdapters(model, ["x"], rank=2, scaling=1.0, target_modules=["q_proj"])
    assert torch.equal(before, logits(model))


def test_choosing_adapters_leaves_training_alone():
    model, lora = adapted()
    assert all(parameter.requires_grad for parameter in lora.parameters())
    lora.parameters("own")[0].requires_grad_(False)
    lora.activate(("shared",))
    lora.activate(("own",))
    flags = [parameter.requires_grad for parameter in lora.parameters("own")]
    assert flags == [False] + [True] * (len(flags) - 1)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(".lora_" in name for name in trained)


def test_losses_of_several_choices_reach_their_own_adapters():
    model, lora = adapted(("a", "b", "c"))
    total = torch.zeros(())
    for name in ("a", "b"):
        lora.activate((name,))
        total = total + logits(model).square().mean()
    total.backward()
    for name in ("a", "b"):
        assert all(parameter.grad is not None for parameter in lora.parameters(name))
    assert all(parameter.grad is None for parameter in lora.parameters("c"))


def test_folding_gives_the_same_and_unfolding_restores_every_bit():
    model, lora = adapted()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lora.activate(("shared", "own"))
    expected = logits(model)
    lora.fold(("shared", "own"))
    assert lora.folded == ("shared", "own")
    assert not torch.equal(
        model.model.layers[0].self_attn.q_proj.base_layer.weight,
        weights["model.layers.0.self_attn.q_proj.base_layer.weight"],
    )
    torch.testing.assert_close(logits(model), expected)
    lora.unfold()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(logits(model), expected)


def test_refolding_starts_from_the_original_weights():
    model, lora = adapted()
    lora.activate(("own",))
    expected = logits(model)
    lora.fold(("shared",))
    lora.fold(("own",))
    torch.testing.assert_close(logits(model), expected)


def test_other_adapters_unfold_what_is_folded():
    model, lora = adapted()
    lora.activate(("own",))
    expected = logits(model)
    lora.fold(("shared",))
    folded = model.model.layers[0].self_attn.q_proj.base_layer.weight.data_ptr()
    lora.fold(("shared",))
    assert model.model.layers[0].self_attn.q_proj.base_layer.weight.data_ptr() == folded
    lora.activate(("own",))
    assert lora.folded is None
    assert torch.equal(logits(model), expected)


def test_unknown_adapter():
    _, lora = adapted()
    with pytest.raises(ValueError, match="unknown adapters"):
        lora.activate(("nobody",))


def test_linear_layers_of_a_language_model():
    assert linear_layer_names(language_model()) == [
        "down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj",
    ]  # fmt: skip


def test_scaling_does_not_depend_on_rank():
    _, lora = adapted(rank=7, scaling=0.1)
    assert {scale for layer in lora.layers for scale in layer.scaling.values()} == {0.1}


def test_off_is_the_base_model_and_all_is_as_before_afterwards():
    model, lora = adapted()
    lora.activate(("own",))
    for parameter in lora.parameters("shared"):
        parameter.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in lora.parameters()]
    before = logits(model)
    lora.fold(("own",))
    with lora.off():
        assert torch.equal(logits(model), logits(language_model()))
    assert torch.equal(logits(model), before)
    assert [parameter.requires_grad for parameter in lora.parameters()] == flags
    assert lora.folded is None

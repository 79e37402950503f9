import pytest
import torch

from avsr_adapters import RateProjector, build_projector


def test_projector_layers_are_numbered_as_published():
    projector = build_projector(4, 6, 5, layer_norm=True)
    assert [name for name, _ in projector.named_parameters()] == [
        "0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias",
    ]  # fmt: skip
    hidden = torch.relu(projector[0](torch.ones(1, 4)))
    torch.testing.assert_close(projector(torch.ones(1, 4)), projector[3](projector[2](hidden)))


def test_each_rate_has_its_own_projector():
    projector = RateProjector([4, 16], [8, 32], 6, 5)
    assert projector(torch.ones(1, 3, 8), 4).shape == (1, 3, 5)
    assert projector(torch.ones(1, 3, 32), 16).shape == (1, 3, 5)


def test_one_projector_serves_all_rates():
    projector = RateProjector([4, 16], [8, 8], 6, 5, per_rate=False)
    features = torch.ones(1, 3, 8)
    assert torch.equal(projector(features, 4), projector(features, 16))


def test_one_projector_cannot_serve_stacked_rates():
    with pytest.raises(ValueError, match="one projector per rate"):
        RateProjector([2, 5], [8, 20], 6, 5, per_rate=False)


def test_unknown_activation():
    with pytest.raises(ValueError, match="relu"):
        build_projector(1, 1, 1, activation="tanh")

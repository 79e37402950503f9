import pytest
import torch
from torch.nn import functional

from avsr_adapters import decorrelated_layers, decorrelation_loss


def hidden_states(n_layers: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 5, 6, generator=generator) for _ in range(n_layers + 1)]


def test_layer_ranges():
    assert list(decorrelated_layers(5, "paper")) == [2, 3, 4]
    assert list(decorrelated_layers(5, "released")) == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="more than 2"):
        decorrelated_layers(2, "paper")
    with pytest.raises(ValueError, match="paper"):
        decorrelated_layers(5, "all")


@pytest.mark.parametrize(("layers", "entries"), [("paper", [2, 3]), ("released", [1, 2, 3])])
def test_mean_squared_cosine_without_padding(layers, entries):
    states = hidden_states()
    terms = [
        functional.cosine_similarity(states[entry][:, 1:], states[entry][:, :1], dim=-1) ** 2
        for entry in entries
    ]
    loss = decorrelation_loss(states, torch.ones(2, 5, dtype=torch.bool), layers)
    torch.testing.assert_close(loss, torch.stack(terms).mean())


def test_padding_is_left_out_and_the_anchor_is_the_first_real_token():
    states = hidden_states()
    mask = torch.tensor([[True] * 5, [False, False, True, True, True]])
    changed = [state.clone() for state in states]
    for state in changed:
        state[1, :2] = 99.0
    loss = decorrelation_loss(states, mask)
    assert torch.equal(loss, decorrelation_loss(changed, mask))
    alone = [decorrelation_loss([s[row : row + 1] for s in states], mask[row : row + 1])
             for row in (0, 1)]  # fmt: skip
    torch.testing.assert_close(loss, (4 * alone[0] + 2 * alone[1]) / 6)


def test_gradient_reaches_tokens_and_anchor():
    states = [state.requires_grad_() for state in hidden_states()]
    decorrelation_loss(states, torch.ones(2, 5, dtype=torch.bool)).backward()
    gradient = states[2].grad
    assert gradient is not None
    assert (gradient.abs().sum(dim=-1) > 0).all()
    assert states[1].grad is None


def test_aligned_tokens_cost_one():
    states = [torch.ones(1, 4, 3) for _ in range(5)]
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert decorrelation_loss(states, mask).item() == pytest.approx(1.0)
    mask[0, 1:] = False
    assert decorrelation_loss(states, mask).item() == 0.0

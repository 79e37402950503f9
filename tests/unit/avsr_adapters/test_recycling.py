import pytest
import torch

from avsr_adapters import AttentionRecycler


def uniform(n_queries: int, n_keys: int) -> torch.Tensor:
    weights = torch.tril(torch.ones(n_keys, n_keys))[-n_queries:]
    return (weights / weights.sum(dim=1, keepdim=True)).expand(2, 3, -1, -1)


def marks(*indices: int) -> torch.Tensor:
    mask = torch.zeros(2, 10, dtype=torch.bool)
    mask[:, list(indices)] = True
    return mask


def test_attention_moves_from_sinks_to_streams():
    recycler = AttentionRecycler(marks(1, 6)[None], marks(2, 3, 4), share=0.5)
    before = uniform(10, 10)
    after = recycler(0, 0, before)
    torch.testing.assert_close(after.sum(dim=-1), torch.ones(2, 3, 10))
    assert recycler.n_sources == 2
    torch.testing.assert_close(recycler.of_row(1)(0, 0, before[1:]), after[1:])
    with pytest.raises(ValueError, match="made for 2 rows"):
        recycler(0, 0, before[1:])
    assert AttentionRecycler(marks(1, 2)[None], marks(2, 3)).n_sources == 1  # streams never give
    last = after[0, 0, -1]
    torch.testing.assert_close(last[[1, 6]], torch.full((2,), 0.05))
    torch.testing.assert_close(last[[2, 3, 4]], torch.full((3,), 0.1 + 0.1 / 3))
    torch.testing.assert_close(last[[0, 5, 7]], torch.full((3,), 0.1))
    torch.testing.assert_close(after[..., 1, :], before[..., 1, :])  # sees no stream token yet
    everything = AttentionRecycler(marks(1)[None], marks(2), share=1.0)(0, 0, before)
    assert everything[0, 0, -1, 1] == 0


def test_other_layers_and_nothing_to_move():
    sources = torch.stack([marks(1), marks()])
    before = uniform(10, 10)
    assert AttentionRecycler(sources, marks(2))(1, 0, before) is before
    same = AttentionRecycler(sources, marks(2), share=0.0)(0, 0, before)
    torch.testing.assert_close(same, before)


def test_generated_tokens_are_neither_sources_nor_targets():
    recycler = AttentionRecycler(marks(1)[None], marks(2), share=1.0)
    after = recycler(0, 12, uniform(1, 13))
    assert after.shape == (2, 3, 1, 13)
    torch.testing.assert_close(after[..., 2], torch.full((2, 3, 1), 2 / 13))
    torch.testing.assert_close(after[..., 10:], torch.full((2, 3, 1, 3), 1 / 13))

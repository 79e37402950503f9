import pytest
import torch

from avsr_adapters import average_frames, compressed_lengths, stack_frames


def test_average_drops_the_remainder():
    features = torch.arange(14.0).view(1, 7, 2)
    tokens, lengths = average_frames(features, 3)
    torch.testing.assert_close(tokens, torch.tensor([[[2.0, 3.0], [8.0, 9.0]]]))
    assert lengths.tolist() == [2]


def test_average_equals_torchs_pooling():
    features = torch.randn(2, 50, 6)
    pooled = torch.nn.functional.avg_pool1d(features.transpose(1, 2), 4).transpose(1, 2)
    torch.testing.assert_close(average_frames(features, 4)[0], pooled)


def test_stack_concatenates_frame_after_frame():
    features = torch.arange(14.0).view(1, 7, 2)
    tokens, _ = stack_frames(features, 3)
    assert tokens.tolist() == [[[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]]


@pytest.mark.parametrize("compress", [average_frames, stack_frames])
@pytest.mark.parametrize("rate", [1, 2, 5])
def test_a_row_of_a_batch_equals_the_clip_alone(compress, rate):
    features, lengths = torch.randn(3, 11, 4), torch.tensor([11, 6, 3])
    tokens, counts = compress(features, rate, lengths)
    for row, n_frames in enumerate(lengths.tolist()):
        alone, count = compress(features[row : row + 1, :n_frames], rate)
        assert counts[row] == count[0] == alone.shape[1]
        torch.testing.assert_close(tokens[row, : int(count[0])], alone[0])


def test_a_stream_shorter_than_one_group_is_one_token():
    features = torch.tensor([[[2.0], [4.0]]])
    assert average_frames(features, 5)[0].tolist() == [[[3.0]]]
    assert stack_frames(features, 5)[0].tolist() == [[[2.0, 4.0, 0.0, 0.0, 0.0]]]
    assert compressed_lengths(torch.tensor([0, 4, 5, 9, 10]), 5).tolist() == [1, 1, 1, 1, 2]


def test_rate_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        average_frames(torch.zeros(1, 4, 2), 0)

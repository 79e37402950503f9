"""Scores, budgets and determinism of generation."""

import pytest
import torch

from avsr.generation import AvsrGeneration, cut_to_budgets, decoding_config, real_tokens
from tests.tiny import EOS, PAD, row_of, tiny_features, tiny_model

ASKED = {"modality": "av", "audio_rate": 4, "video_rate": 2}


@pytest.fixture(scope="module")
def model():
    return tiny_model(max_tokens_per_second=2.0)


@pytest.fixture
def settings(model):
    return decoding_config(
        model.language_model.generation_config, num_beams=1, max_new_tokens=8, scores=True
    )


def test_greedy_tokens_are_the_best_ones_and_scores_their_log_probabilities(model):
    batch = tiny_features([20])
    result = model.generate_with_scores(**batch, **ASKED, max_new_tokens=5)
    tokens = result.sequences
    with torch.no_grad():
        logits = model(**batch, **ASKED, labels=tokens, logits_to_keep=6).logits[:, :-1]
    log_probs = logits.log_softmax(-1)
    assert torch.equal(log_probs.argmax(-1), tokens)
    expected = log_probs.gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(result.token_log_probs, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result.sequence_scores, expected.mean(1), atol=1e-4, rtol=1e-4)


def test_beam_scores_are_log_probabilities_of_the_tokens(model):
    batch = tiny_features([20])
    result = model.generate_with_scores(**batch, **ASKED, max_new_tokens=5, num_beams=4)
    greedy = model.generate_with_scores(**batch, **ASKED, max_new_tokens=5)
    with torch.no_grad():
        logits = model(**batch, **ASKED, labels=result.sequences, logits_to_keep=6).logits
    expected = logits[:, :-1].log_softmax(-1).gather(-1, result.sequences[..., None])[..., 0]
    torch.testing.assert_close(result.token_log_probs, expected, atol=1e-4, rtol=1e-4)
    assert result.sequence_scores >= greedy.sequence_scores - 1e-5


def test_scores_and_plain_generation_agree(model):
    batch = tiny_features([20, 14])
    for beams in (1, 3):
        plain = model.generate(**batch, **ASKED, num_beams=beams)
        scored = model.generate_with_scores(**batch, **ASKED, num_beams=beams)
        assert torch.equal(plain, scored.sequences)
        assert torch.equal(plain, model.generate(**batch, **ASKED, num_beams=beams))


def test_a_short_clip_reads_the_same_beside_a_long_one(model):
    batch = tiny_features([70, 13])
    together = model.generate(**batch, **ASKED)
    assert together.shape[1] == 16 + 6  # the long clip's bound: 2.8 s at 2 tokens per second
    alone = model.generate(**row_of(batch, 1), **ASKED)
    assert alone.shape[1] == 16 + 2
    assert together[1].tolist() == alone[0].tolist() + [PAD] * 4


def test_the_language_models_own_settings_change_nothing(model):
    batch = tiny_features([20])
    before = model.generate(**batch, **ASKED, max_new_tokens=6)
    config = model.language_model.generation_config
    config.do_sample, config.temperature, config.top_p = True, 5.0, 0.3
    try:
        assert torch.equal(model.generate(**batch, **ASKED, max_new_tokens=6), before)
    finally:
        config.do_sample, config.temperature, config.top_p = None, None, None


def test_tokens_after_the_end_are_not_real(settings):
    rows = torch.tensor([[5, EOS, PAD, EOS], [5, 6, 7, 8]])
    assert real_tokens(rows, settings).tolist() == [[True, True, False, False], [True] * 4]


def test_cutting_recomputes_scores(settings):
    generation = AvsrGeneration(
        sequences=torch.tensor([[5, 6, 7, 8], [5, EOS, PAD, PAD]]),
        token_log_probs=torch.tensor([[-1.0, -2.0, -3.0, -4.0], [-1.0, -3.0, 0.0, 0.0]]),
        sequence_scores=torch.tensor([-2.5, -2.0]),
    )
    cut = cut_to_budgets(generation, [2, 3], settings)
    assert cut.sequences.tolist() == [[5, 6, PAD, PAD], [5, EOS, PAD, PAD]]
    assert cut.sequence_scores is not None
    assert cut.sequence_scores.tolist() == [-1.5, -2.0]

"""Searches: the tokens of transformers' own, scores, budgets, determinism."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import avsr
from avsr.benchmark.reference import published_search
from avsr.clips.read import read_clip
from avsr.decoding.beam_search import BeamSearch
from avsr.decoding.ctc_scores import (
    ClipScores,
    CtcRescorer,
    ctc_log_probs,
    ctc_prefix_bounds,
)
from avsr.decoding.generation import merge_generations, real_tokens
from avsr.recognition.hypotheses import encode
from tests.tiny import EOS, PAD, VOCAB_SIZE, clip_of, tiny_model, tiny_streams

SAMPLE = Path(__file__).parents[3] / "demo" / "samples" / "clean.mp4"
ASKED = {"modality": "av", "audio_rate": 4, "video_rate": 2}
FRAMES = [70, 13, 40, 25, 33, 8]


@pytest.fixture(scope="module")
def model():
    return tiny_model(max_tokens_per_second=2.0)


@pytest.fixture(scope="module")
def ending_model():
    """A model that ends its texts after a few tokens, some earlier than others."""
    model = tiny_model(seed=3, max_tokens_per_second=4.0)
    with torch.no_grad():
        model.language_model.lm_head.weight[EOS] *= 2.5
    return model


def found_by_transformers(model, batch, row: int, num_beams: int) -> list[int]:
    prefix, settings = model.search_inputs(
        streams=clip_of(batch, row), **ASKED, num_beams=num_beams
    )
    return published_search(model.language_model, prefix, settings)[0].tolist()


def without_padding(ids: torch.Tensor) -> list[int]:
    return [token for token in ids.tolist() if token != PAD]


@pytest.mark.parametrize("num_beams", [1, 2, 5])
def test_a_batch_gives_the_tokens_that_transformers_finds_clip_by_clip(
    model, ending_model, num_beams
):
    lengths = set()
    for searched in (model, ending_model):
        batch = tiny_streams(FRAMES, seed=num_beams)
        together = searched.generate(streams=batch, **ASKED, num_beams=num_beams)
        for row in range(len(FRAMES)):
            alone = found_by_transformers(searched, batch, row, num_beams)
            assert without_padding(together[row]) == [token for token in alone if token != PAD]
            lengths.add(len(without_padding(together[row])))
    assert len(lengths) > 3  # some clips ended by themselves, some at their own bound


def test_greedy_tokens_are_the_best_ones_and_scores_their_log_probabilities(model):
    batch = tiny_streams([20])
    result = model.generate_with_scores(streams=batch, **ASKED, max_new_tokens=5)
    tokens = result.sequences
    with torch.no_grad():
        logits = model(streams=batch, **ASKED, labels=tokens, logits_to_keep=6).logits[:, :-1]
    log_probs = logits.log_softmax(-1)
    assert torch.equal(log_probs.argmax(-1), tokens)
    expected = log_probs.gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(result.token_log_probs, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result.sequence_scores, expected.mean(1), atol=1e-4, rtol=1e-4)


def test_beam_scores_are_log_probabilities_of_the_tokens(model):
    batch = tiny_streams([20, 30])
    result = model.generate_with_scores(streams=batch, **ASKED, max_new_tokens=5, num_beams=4)
    greedy = model.generate_with_scores(streams=batch, **ASKED, max_new_tokens=5)
    with torch.no_grad():
        logits = model(streams=batch, **ASKED, labels=result.sequences, logits_to_keep=6).logits
    expected = logits[:, :-1].log_softmax(-1).gather(-1, result.sequences[..., None])[..., 0]
    torch.testing.assert_close(result.token_log_probs, expected, atol=1e-4, rtol=1e-4)
    assert bool((result.sequence_scores >= greedy.sequence_scores - 1e-5).all())


def test_scores_and_plain_generation_agree(model):
    batch = tiny_streams([20, 14])
    for beams in (1, 3):
        plain = model.generate(streams=batch, **ASKED, num_beams=beams)
        scored = model.generate_with_scores(streams=batch, **ASKED, num_beams=beams)
        assert torch.equal(plain, scored.sequences)
        assert torch.equal(plain, model.generate(streams=batch, **ASKED, num_beams=beams))


def test_scores_stop_at_the_end(ending_model):
    batch = tiny_streams(FRAMES)
    result = ending_model.generate_with_scores(streams=batch, **ASKED)
    real = real_tokens(result.sequences, [EOS]) & (result.sequences != PAD)
    assert bool((result.token_log_probs[~real] == 0).all())
    means = result.token_log_probs.sum(1) / real.sum(1)
    torch.testing.assert_close(result.sequence_scores, means)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_short_clip_reads_the_same_beside_a_long_one(model, num_beams):
    batch = tiny_streams([70, 13])
    together = model.generate(streams=batch, **ASKED, num_beams=num_beams)
    assert together.shape[1] == 16 + 6  # the long clip's bound: 2.8 s at 2 tokens per second
    alone = model.generate(streams=clip_of(batch, 1), **ASKED, num_beams=num_beams)
    assert alone.shape[1] == 16 + 2
    assert together[1].tolist() == alone[0].tolist() + [PAD] * 4


def test_the_language_models_own_settings_change_nothing(model):
    batch = tiny_streams([20])
    before = model.generate(streams=batch, **ASKED, max_new_tokens=6)
    config = model.language_model.generation_config
    config.do_sample, config.temperature, config.top_p = True, 5.0, 0.3
    try:
        assert torch.equal(model.generate(streams=batch, **ASKED, max_new_tokens=6), before)
    finally:
        config.do_sample, config.temperature, config.top_p = None, None, None


def test_more_beams_than_candidates(model):
    batch = tiny_streams([20])
    ids = model.generate(streams=batch, **ASKED, num_beams=VOCAB_SIZE // 2, max_new_tokens=3)
    assert ids.shape == (1, 3)
    with pytest.raises(ValueError, match="num_beams must be at least 1"):
        model.generate(streams=batch, **ASKED, num_beams=0)


def test_tokens_after_the_end_are_not_real():
    rows = torch.tensor([[5, EOS, PAD, EOS], [5, 6, 7, 8]])
    assert real_tokens(rows, [EOS]).tolist() == [[True, True, False, False], [True] * 4]
    assert real_tokens(rows, []).all()


def test_merging_restores_the_rows_and_pads(model):
    batch = tiny_streams([20, 14, 30])
    parts = [
        (rows, model.generate_with_scores(streams=batch.rows(rows), **ASKED, max_new_tokens=length))
        for rows, length in (([2, 0], 6), ([1], 4))
    ]
    merged = merge_generations(parts, PAD)
    assert merged.sequences.shape == (3, 6)
    assert torch.equal(merged.sequences[0], parts[0][1].sequences[1])
    assert merged.sequences[1].tolist() == [*parts[1][1].sequences[0].tolist(), PAD, PAD]
    assert torch.equal(merged.sequence_scores[2], parts[0][1].sequence_scores[0])


def test_ctc_heads_choose_among_the_texts_that_the_beams_found():
    model = tiny_model(seed=3, max_tokens_per_second=4.0, audio_ctc=True, video_ctc=True)
    batch = tiny_streams([40, 20, 30])
    asked = {**ASKED, "num_beams": 4}
    plain = model.generate(streams=batch, **asked)
    finished: dict[int, list[list[int]]] = {}
    joint = CtcRescorer.joint_scores

    def record(self, clip, texts, sums):
        finished.setdefault(clip, []).extend(texts)
        scores = joint(self, clip, texts, sums)
        assert bool((scores <= (1 - self.weight) * sums).all())
        return scores

    def prefer(wanted):
        return lambda self, clip, texts, sums: torch.tensor(
            [0.0 if text == wanted else -1e3 for text in texts]
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CtcRescorer, "joint_scores", record)
        model.generate(streams=batch, **asked)
        assert not finished, "without a weight the heads have no say"
        together = model.generate(streams=batch, **asked, ctc_weight=0.5)
        alone = model.generate(streams=clip_of(batch, 1), **asked, ctc_weight=0.5)
        assert without_padding(together[1]) == without_padding(alone[0])
        wanted = next(t for t in finished[1] if t != without_padding(plain[1]))
        patch.setattr(CtcRescorer, "joint_scores", prefer(wanted))
        chosen = model.generate(streams=batch, **asked, ctc_weight=0.5)
    assert without_padding(chosen[1]) == [token for token in wanted if token != PAD]


def test_a_text_is_scored_over_all_its_alignments():
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])  # the blank last
    p = logits.softmax(-1)
    alignments = [(0, 0, 0), (0, 0, 2), (0, 2, 2), (2, 0, 0), (2, 0, 2), (2, 2, 0)]
    expected = sum(p[0, a] * p[1, b] * p[2, c] for a, b, c in alignments)
    (score,) = ctc_log_probs(logits.log_softmax(dim=-1), [[0]])
    torch.testing.assert_close(score, torch.as_tensor(expected).log())
    head = ClipScores(logits=logits)
    rescorer = CtcRescorer(scores=[[head, head]], weight=0.25, end_ids=[1])
    scores = rescorer.joint_scores(0, [[0, 1], [0, 0, 0, 0, 1]], torch.tensor([-2.0, -1.0]))
    torch.testing.assert_close(scores[0], 0.75 * torch.tensor(-2.0) + 0.25 * score)
    assert -1e6 < scores[1] < -1e5, "more tokens than frames cannot be aligned"


def test_no_text_is_more_probable_than_its_beginning_allows():
    log_probs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).log_softmax(dim=-1)
    texts = [list(text) for n in range(5) for text in itertools.product((0, 1), repeat=n)]
    said = dict(zip(map(tuple, texts), ctc_log_probs(log_probs, texts).tolist(), strict=True))
    bounds = ctc_prefix_bounds(log_probs, texts).tolist()
    for text, bound in zip(texts, bounds, strict=True):
        going_on = [said[one] for one in said if one[: len(text)] == tuple(text)]
        assert max(going_on) <= bound + 1e-5
        assert bound <= math.log(5) + torch.tensor(going_on).logsumexp(dim=0) + 1e-5


def test_joint_search_ends_as_soon_as_no_beam_can_win():
    loaded = avsr.load("grid-tiny", "cpu").loaded
    clip = read_clip(SAMPLE)
    assert clip.audio is not None
    hiss = np.random.default_rng(0).normal(0, 2 * clip.audio.std(), len(clip.audio))
    streams = encode(loaded, waveforms=[clip.audio + hiss.astype(np.float32)])
    asked = {"route": loaded.route("audio"), "ctc_weight": 0.8}
    continued = BeamSearch._continue
    found, steps = [], []

    def count(self, *args):
        steps[-1] += 1
        return continued(self, *args)

    for bound in (CtcRescorer.joint_bounds, lambda self, clip, texts, sums: sums * 0):
        steps.append(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BeamSearch, "_continue", count)
            patch.setattr(CtcRescorer, "joint_bounds", bound)
            found.append(loaded.model.generate(streams=streams, **asked))
    assert torch.equal(*found)
    assert steps[0] < steps[1] / 2


def test_models_without_ctc_heads_refuse_their_weight(model):
    with pytest.raises(ValueError, match="no CTC head"):
        model.generate(streams=tiny_streams([10]), **ASKED, num_beams=2, ctc_weight=0.3)

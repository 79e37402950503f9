"""A draft in the prompt competes with what the language model made of it."""

import math
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from avsr.decoding.options import SearchOptions
from avsr.model import AvsrForConditionalGeneration
from tests.tiny import draft_model, sound_inputs

DRAFTS = [[9, 8, 4], None, [3]]


@pytest.fixture(scope="module")
def model() -> AvsrForConditionalGeneration:
    return draft_model()


@torch.inference_mode()
def read(model: AvsrForConditionalGeneration, margin: float | None, beams: int = 1) -> Any:
    search = SearchOptions(num_beams=beams, max_new_tokens=6, draft_margin=margin)
    return model.generate_with_scores(
        **sound_inputs(3), modality="audio", search=search, drafts=DRAFTS
    )


def texts(found: Any) -> list[list[int]]:
    return [row[: int(n)].tolist() for row, n in zip(found.sequences, found.lengths, strict=True)]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_margin_decides_between_draft_and_text(
    model: AvsrForConditionalGeneration, beams: int
) -> None:
    plain, never = texts(read(model, None, beams)), texts(read(model, -math.inf, beams))
    assert never == plain
    end = model.config.eos_token_id
    always = texts(read(model, math.inf, beams))
    assert always == [[9, 8, 4, end], plain[1], [3, end]]
    assert always != plain


def test_a_drafts_tokens_have_the_language_models_probabilities(
    model: AvsrForConditionalGeneration,
) -> None:
    found = read(model, math.inf)
    labels = torch.full((3, 4), -100)
    for row, text in enumerate(texts(found)):
        if DRAFTS[row]:
            labels[row, : len(text)] = torch.tensor(text)
    labels[1, 0] = 3
    with torch.inference_mode():
        logits = model(**sound_inputs(3), labels=labels, drafts=DRAFTS, logits_to_keep=5).logits
    expected = logits[:, :-1].float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])
    for row, n in ((0, 4), (2, 2)):
        got = found.token_log_probs[row, :n]
        torch.testing.assert_close(got, expected[row, :n, 0], atol=2e-5, rtol=1e-4)
        assert float(found.sequence_scores[row]) == pytest.approx(float(got.mean()), abs=1e-5)
        assert not found.token_log_probs[row, n:].any()


def test_the_margin_is_the_difference_for_each_token(
    model: AvsrForConditionalGeneration,
) -> None:
    plain, always = read(model, None), read(model, math.inf)
    own = float(plain.token_log_probs[0].sum())
    drafted = float(always.token_log_probs[0].sum())
    edge = (own - drafted) / 4
    assert edge > 0
    assert texts(read(model, edge * 1.01))[0] == texts(always)[0]
    assert texts(read(model, edge * 0.99))[0] == texts(plain)[0]


def test_the_margin_is_the_models_own_unless_another_is_asked_for() -> None:
    defaults: Any = GenerationConfig()
    assert SearchOptions().resolved(defaults, {"audio": False}).draft_margin is None
    defaults.draft_margin = 0.4
    assert SearchOptions().resolved(defaults, {"audio": False}).draft_margin == 0.4
    asked = SearchOptions(draft_margin=-1.0)
    assert asked.resolved(defaults, {"audio": False}).draft_margin == -1.0

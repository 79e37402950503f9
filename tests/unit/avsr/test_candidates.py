"""Drafts and texts of the CTC heads compete with what the search found."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from avsr.decoding.beams import TreeReader
from avsr.decoding.ctc_scores import ctc_log_probs
from avsr.decoding.ctc_search import best_unit_texts
from avsr.decoding.options import SearchOptions
from avsr.decoding.rivals import Rivals
from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.ctc import clip_scores
from avsr.route import Route
from tests.tiny import draft_model, sound_inputs, tiny_config

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


def test_a_draft_in_the_prompt_is_verified_to_the_text_of_greedy_search(
    model: AvsrForConditionalGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_passes: list[int] = []
    forward = model.language_model.forward

    def counted(**given: Any) -> Any:
        n_passes[-1] += 1
        return forward(**given)

    monkeypatch.setattr(model.language_model, "forward", counted)
    found: list[Any] = []
    for verifies in (True, False):
        n_passes.append(0)
        with monkeypatch.context() as patched:
            if not verifies:
                patched.setattr("avsr.model_parts.generate._proposals", lambda *_: None)
            found.append(read(model, math.inf))
            found.append(read(model, None))
    for verified, plain in zip(found[:2], found[2:], strict=True):
        assert texts(verified) == texts(plain)
        torch.testing.assert_close(
            verified.token_log_probs, plain.token_log_probs, atol=2e-5, rtol=0
        )
    assert n_passes[0] < n_passes[1]


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


def test_the_most_probable_texts_of_a_head_are_those_of_all_its_paths() -> None:
    torch.manual_seed(3)
    logits = 2 * torch.randn(4, 4)  # three units and the blank
    log_probs = logits.log_softmax(-1)
    sums: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(4), repeat=4):
        merged = [unit for unit, _ in itertools.groupby(path) if unit != 3]
        chance = math.exp(sum(float(log_probs[step, unit]) for step, unit in enumerate(path)))
        sums[tuple(merged)] = sums.get(tuple(merged), 0.0) + chance
    expected = sorted(sums, key=lambda text: -sums[text])[:3]
    assert best_unit_texts(logits, 3) == [list(text) for text in expected]


@torch.inference_mode()
def test_a_text_that_a_head_is_sure_of_replaces_an_unlikely_one() -> None:
    torch.manual_seed(0)
    model = AvsrForConditionalGeneration(tiny_config(audio_ctc=True)).eval()
    inputs = sound_inputs(2)
    plain = SearchOptions(num_beams=2, ctc_weight=1.0, max_new_tokens=150)
    found = model.generate_with_scores(**inputs, modality="audio", search=plain)
    joined = replace(plain, ctc_texts=2)
    better = model.generate_with_scores(**inputs, modality="audio", search=joined)
    streams = model.encode(**inputs)
    heads = clip_scores(model, streams, [Route.parse("A4")] * 2)
    end = model.config.eos_token_id
    for row in range(2):
        (head,) = heads[row]
        own, other = ([t for t in texts(each)[row] if t != end] for each in (found, better))
        spoken = [[t for t in text if t != end] for text in best_unit_texts(head.logits, 2)]
        scores = ctc_log_probs(head.log_probs, [own, other, *spoken])
        assert float(scores[1]) == pytest.approx(float(scores.max()))
        assert float(scores[1]) >= float(scores[0])


@torch.inference_mode()
@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("margin", [-0.5, 0.0, 0.7, 4.0, 8.0, 12.0, 30.0])
def test_a_search_for_what_beats_the_rivals_finds_what_a_search_for_everything_does(
    weight: float, margin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(2)
    config = tiny_config(audio_ctc=True)
    config.draft_prompt_ids = [[5, 6], [7]]
    model = AvsrForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(5)
    drafts: Any = [
        torch.randint(3, 26, (1 + n % 9,), generator=generator).tolist() if n % 5 else None
        for n in range(12)
    ]
    search = SearchOptions(
        num_beams=3, ctc_weight=weight, ctc_texts=2, draft_margin=margin, max_new_tokens=9
    )
    given = {"modality": "audio", "search": search, "drafts": drafts}
    steps: list[int] = []
    read_beams = TreeReader.read_beams

    def counted(*arguments: Any) -> Any:
        steps[-1] += len(arguments[1])
        return read_beams(*arguments)

    monkeypatch.setattr(TreeReader, "read_beams", counted)
    steps.append(0)
    found = model.generate_with_scores(**sound_inputs(12), **given)
    monkeypatch.setattr(Rivals, "to_beat", lambda *_: -math.inf)  # nothing ends a search early
    judge = Rivals.judge

    def best_of_all(self: Any, clip: int, own: Any, log_probs: Any) -> None:
        known = [self._best[clip]] if clip in self._best else []
        for text, one in zip(own, log_probs, strict=True):
            judge(self, clip, [text], [one])
            known.append(self._best[clip])
        if known:
            self._best[clip] = max(known, key=lambda rival: rival.score)

    monkeypatch.setattr(Rivals, "judge", best_of_all)
    steps.append(0)
    everything = model.generate_with_scores(**sound_inputs(12), **given)
    assert texts(found) == texts(everything)
    torch.testing.assert_close(found.sequence_scores, everything.sequence_scores)
    own = [row[:-1] for row in texts(found)]
    assert steps[0] <= steps[1]
    if margin >= 12:
        assert steps[0] < steps[1]
        assert any(draft == text for draft, text in zip(drafts, own, strict=True))


@torch.inference_mode()
@pytest.mark.parametrize("beams", [1, 3])
def test_where_nothing_can_beat_a_draft_the_language_model_reads_once(
    model: AvsrForConditionalGeneration, beams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_passes = 0
    forward = model.language_model.forward

    def counted(**given: Any) -> Any:
        nonlocal n_passes
        n_passes += 1
        return forward(**given)

    monkeypatch.setattr(model.language_model, "forward", counted)
    drafts = [[9, 8, 4], [5, 5], [3]]
    search = SearchOptions(num_beams=beams, max_new_tokens=6, draft_margin=20.0)
    found = model.generate_with_scores(
        **sound_inputs(3), modality="audio", search=search, drafts=drafts
    )
    end = model.config.eos_token_id
    assert texts(found) == [[*draft, end] for draft in drafts]
    assert n_passes == (1 if beams == 1 else 2)  # prefix and draft together, or one by one

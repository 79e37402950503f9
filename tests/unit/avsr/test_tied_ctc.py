"""Tied CTC heads: their scores, and all that is done with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

import avsr
from avsr.decoding.ctc_scores import ClipScores, CtcRescorer, ctc_log_probs, greedy_units
from avsr.decoding.options import SearchOptions
from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.ctc import CtcScores, clip_scores, ctc_scores
from avsr.model_parts.tied_ctc import TiedCtc
from avsr.processing import AvsrProcessor
from avsr.recognition import word_times
from avsr.recognition.sound_offset import OffsetMeter, _probabilities
from avsr.recognition.word_times import SpokenWord, time_words
from avsr.route import Route
from avsr.training.ctc_loss import ctc_loss, head_losses
from avsr.training.objective import TrainingObjective
from avsr.training.routes import RoutePlan
from avsr.training.settings import CtcSettings, ObjectiveSettings
from tests.tiny import EOS, VOCAB_SIZE, clip_of, tiny_config, tiny_inputs, tiny_model, tiny_streams

PIECES = [4, 6, 8, 9, 12]
SPELT = {10: [2, 3], 11: [0, 0, 4], 13: []}  # other tokens by places in PIECES
TIED: dict[str, Any] = {"audio_ctc": "tied", "video_ctc": "tied", "ctc_pieces": PIECES}


def tied_model(**changes: Any) -> Any:
    model = tiny_model(**{**TIED, **changes})
    spellings = [SPELT.get(token, []) for token in range(VOCAB_SIZE)]
    for place, piece in enumerate(PIECES):
        spellings[piece] = [place]
    model.ctc_pieces.fill(spellings)
    return model


@pytest.mark.parametrize("stream", ["audio", "video"])
def test_scores_are_cosines_of_the_finest_tokens_to_embeddings_and_blank(stream: str) -> None:
    model = tied_model()
    streams = tiny_streams([30, 18])
    encoded = getattr(streams, stream)
    head = getattr(model, f"{stream}_ctc_head")
    found = ctc_scores(model, encoded)
    rate = 4 if stream == "audio" else 2
    tokens = model._projected(streams.of(Route.parse("A4" if rate == 4 else "V2")), rate)
    embeddings = model.get_input_embeddings().weight
    table = functional.normalize(embeddings[PIECES], dim=-1)
    blank = functional.normalize(head.blank_vector, dim=-1)[None]
    expected = head.scale * functional.normalize(tokens, dim=-1) @ torch.cat([table, blank]).T
    torch.testing.assert_close(found.logits, expected)
    assert found.lengths.tolist() == [15, 9]
    assert (found.steps_per_second, found.frames_per_step) == (12.5, rate)
    alone = ctc_scores(model, getattr(clip_of(streams, 1), stream)).of_clip(0).logits
    torch.testing.assert_close(found.of_clip(1).logits, alone)


def test_tokens_learn_to_point_at_the_embeddings() -> None:
    torch.manual_seed(0)
    pieces = torch.randn(3, 16)
    head = TiedCtc(16)
    tokens = torch.stack([pieces[1], pieces[1], head.blank_vector.detach(), pieces[0]])
    assert greedy_units(head(tokens[None], pieces)[0]) == [1, 0]
    free = torch.randn(1, 6, 16, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.1)
    losses = []
    for _ in range(60):
        loss = ctc_loss(head(free, pieces), torch.tensor([6]), [[2, 0]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 < losses[0]
    assert greedy_units(head(free, pieces)[0]) == [2, 0]


def test_a_folder_keeps_the_spelling(tmp_path: Path) -> None:
    model = tied_model()
    model.save_pretrained(tmp_path)
    names = [name for name in load_file(tmp_path / "model.safetensors") if "ctc" in name]
    assert sorted(names) == [
        "audio_ctc_head.blank_vector", "audio_ctc_head.scale", "ctc_pieces.spelling",
        "video_ctc_head.blank_vector", "video_ctc_head.scale",
    ]  # fmt: skip
    again = AvsrForConditionalGeneration.from_pretrained(tmp_path)
    assert again.ctc_pieces is not None
    assert again.ctc_pieces.spell([4, 10, 11, 13, 14]) == [[0], [2, 3], [0, 0, 4], [], []]
    for encoded in tiny_streams([20]).present:
        old, new = (ctc_scores(one, encoded) for one in (model, again))
        assert torch.equal(old.logits, new.logits)
        assert new.units.tokens([0, 4]) == [4, 12]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio_ctc": "tide"}, "audio_ctc must be one of False, True, tied"),
        ({"video_ctc": "tied"}, "needs ctc_pieces"),
        ({"video_ctc": "tied", "ctc_pieces": [3, 3]}, "different token ids"),
        ({"video_ctc": "tied", "ctc_pieces": [3, 32]}, "holds 32, but .* only 32 tokens"),
    ],
)
def test_wrong_settings_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)


def test_training_spells_the_texts_and_reaches_head_and_projector() -> None:
    model = tied_model()
    labels = torch.tensor([[8, 10, 13, 9, EOS], [11, EOS, -100, -100, -100]])
    streams = tiny_streams([30, 30])
    losses = head_losses(model, streams, labels)
    for encoded in streams.present:
        scores = ctc_scores(model, encoded)
        expected = ctc_loss(scores.logits, scores.lengths, [[2, 2, 3, 3], [0, 0, 4]])
        torch.testing.assert_close(losses[f"ctc_{encoded.stream}"], expected)
    routes = RoutePlan(model.config, ObjectiveSettings(), 0).all()[:1]
    objective = TrainingObjective(model, ObjectiveSettings(ctc=CtcSettings(weight=0.3)))
    result = objective(labels=labels, routes=routes, **tiny_inputs())
    plain = TrainingObjective(model)(labels=labels, routes=routes, **tiny_inputs())
    torch.testing.assert_close(result["loss"], plain["loss"] + 0.3 * result["ctc_audio"])
    head_losses(model, streams, labels)["ctc_video"].backward()
    finest, coarsest = (model.video_projector.projectors[rate] for rate in ("2", "5"))
    assert finest[0].weight.grad.abs().sum() > 0
    assert coarsest[0].weight.grad is None
    for parameter in model.video_ctc_head.parameters():
        assert parameter.grad.abs().sum() > 0


def test_a_few_steps_teach_a_text() -> None:
    model = tied_model()
    streams = tiny_streams([30])
    labels = torch.tensor([[8, 12, 11, 6, EOS]])
    taught = [*model.audio_projector.parameters(), *model.audio_ctc_head.parameters()]
    optimizer = torch.optim.Adam(taught, lr=0.01)
    for _ in range(120):
        loss = head_losses(model, streams, labels)["ctc_audio"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (heads,) = clip_scores(model, streams, [Route.parse("A4")])
    assert heads[0].greedy_text() == [8, 12, 4, 4, 12, 6], "token 11 is said with its pieces"


def test_beams_are_judged_by_their_spelling() -> None:
    logits = torch.randn(9, len(PIECES) + 1, generator=torch.Generator().manual_seed(0))
    tied, plain = tied_model().ctc_pieces, torch.randn(9, VOCAB_SIZE + 1)
    heads = [ClipScores(logits=logits, units=tied), ClipScores(logits=plain)]
    rescorer = CtcRescorer(scores=[heads], weight=0.5, end_ids=[EOS])
    sums = torch.tensor([-1.0, -2.0])
    found = rescorer.joint_scores(0, [[8, 11, EOS], [10, EOS]], sums)
    spelt = ctc_log_probs(logits.log_softmax(dim=-1), [[2, 0, 0, 4], [2, 3]])
    whole = ctc_log_probs(plain.log_softmax(dim=-1), [[8, 11], [10]])
    torch.testing.assert_close(found, 0.5 * sums + 0.25 * (spelt + whole))


@pytest.mark.parametrize("kinds", [("tied", "tied"), ("tied", True), (False, "tied")])
def test_searches_run_with_tied_heads(kinds: tuple[Any, Any]) -> None:
    model = tied_model(seed=3, max_tokens_per_second=4.0, audio_ctc=kinds[0], video_ctc=kinds[1])
    batch = tiny_streams([40, 20, 30])
    route = Route.parse("V2" if kinds[0] is False else "A4 V2")
    asked = {"streams": batch, "route": route}
    beams = SearchOptions(num_beams=4, ctc_weight=0.5)
    together = model.generate(**asked, search=beams)
    for row in range(3):
        alone = model.generate(streams=clip_of(batch, row), route=route, search=beams)[0]
        assert torch.equal(together[row, : len(alone)], alone)
    greedy = model.generate_with_scores(**asked, search=SearchOptions(num_beams=1))
    drafted = model.generate_with_scores(**asked, search=SearchOptions(draft="ctc"))
    assert torch.equal(greedy.sequences, drafted.sequences)
    assert drafted.n_drafted is not None
    said = [heads[0].greedy_text() for heads in clip_scores(model, batch, [route] * 3)]
    assert {token for text in said for token in text} <= set(PIECES)
    assert (drafted.n_drafted > 0).any()


def _loaded(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, units: list[int]) -> Any:
    """A model whose tied head of sound says these units, one every other step of 80 ms."""
    loaded = avsr.load(tiny_folder, device="cpu").loaded
    pieces = tied_model().ctc_pieces
    logits = torch.zeros(1, 25, len(PIECES) + 1)
    logits[..., -1] = 5.0
    for place, unit in enumerate(units):
        logits[0, 4 + 2 * place, unit] = 10.0
    scores = CtcScores(
        logits=logits, lengths=torch.tensor([25]), frames_per_step=4, steps_per_second=12.5,
        units=pieces,
    )  # fmt: skip
    monkeypatch.setattr(word_times, "ctc_heads", lambda model: {"audio": True})
    monkeypatch.setattr(word_times, "ctc_scores", lambda model, encoded: scores)
    return loaded


def test_words_are_timed_by_their_pieces(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = _loaded(tiny_folder, monkeypatch, [2, 0, 0, 4, 3])
    words = [
        SpokenWord(text="see", token_ids=(8,), probability=0.9),
        SpokenWord(text="zebra", token_ids=(11,), probability=0.8),
        SpokenWord(text="7", token_ids=(13,), probability=0.7),
        SpokenWord(text="now", token_ids=(9,), probability=0.6),
    ]
    times = time_words(loaded, words, tiny_streams([50]), None, Route.parse("A4"))
    assert [word.word for word in times] == ["see", "zebra", "7", "now"]
    # marks in steps of 0.08 s: see 4, zebra 6 to 10, now 12; no piece spells the figure
    starts, ends = [word.start for word in times], [word.end for word in times]
    assert starts == pytest.approx([0.12, 0.44, 0.88, 0.92])
    assert ends == pytest.approx([0.44, 0.88, 0.92, 1.24])


def test_attention_times_what_has_more_pieces_than_steps(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = _loaded(tiny_folder, monkeypatch, [0, 4])
    for tokens in ((11,) * 8, (13, 13)):
        word = SpokenWord(text="zebra", token_ids=tokens, probability=0.8)
        (timed,) = time_words(loaded, [word], tiny_streams([50]), None, Route.parse("A4"))
        assert 0 <= timed.start < timed.end <= 2


@torch.inference_mode()
def test_offsets_are_measured_at_the_rate_of_pictures_and_between_heads_of_one_kind() -> None:
    model = tied_model()
    streams = tiny_streams([30])
    for encoded in streams.present:
        scores = ctc_scores(model, encoded)
        values = _probabilities(scores, 0)
        assert values.shape == (30, len(PIECES))
        expected = scores.logits[0].softmax(-1)[:, :-1].numpy()
        np.testing.assert_allclose(values[::2], expected, rtol=1e-5)
        np.testing.assert_array_equal(values[::2], values[1::2])
    loaded: Any = type("Loaded", (), {"model": tied_model(video_ctc=True)})()
    meter = OffsetMeter()
    meter.add(loaded, streams.audio, streams.video)
    assert not meter._agreement.any()


def test_files_are_read_with_tied_heads(tiny_folder: Path, media: Path, tmp_path: Path) -> None:
    text: dict[str, Any] = tiny_config().to_dict()["text_config"]
    text |= {"tie_word_embeddings": False, "initializer_range": 0.3}
    tied_model(seed=1, text_config=text, max_tokens_per_second=4.0).save_pretrained(tmp_path)
    AvsrProcessor.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    recognizer = avsr.load(tmp_path, device="cpu")
    searches = ({"num_beams": 1}, {"draft": "ctc"}, {"num_beams": 3, "ctc_weight": 0.5})
    for modality in ("av", "audio", "video"):
        asked: dict[str, Any] = {"modality": modality, "keep_unsure": True, "max_new_tokens": 5}
        read = [
            recognizer.transcribe(media / "av.mp4", **{**asked, **search}) for search in searches
        ]
        assert read[0].text == read[1].text
        for result in read:
            words = [word for segment in result.segments for word in segment.words]
            assert [word.word for word in words] == result.text.split()
            assert all(0 <= word.start <= word.end <= 1.0 + 1e-6 for word in words)
        assert any(result.text for result in read)

"""The CTC term of training: its value, what padding does to it, and how it enters the objective."""

import itertools
import math

import pytest
import torch

from avsr.training.ctc_loss import ctc_loss
from avsr.training.objective import TrainingObjective
from avsr.training.routes import RoutePlan
from avsr.training.settings import CtcSettings, ObjectiveSettings
from tests.tiny import EOS, tiny_inputs, tiny_model

TEXTS = [[8, 9, 10], [11, 12]]
LABELS = torch.tensor([[8, 9, 10, EOS], [11, 12, EOS, -100]])


def collapsed(path: tuple[int, ...], blank: int) -> list[int]:
    return [token for token, _ in itertools.groupby(path) if token != blank]


def test_the_loss_is_minus_the_log_of_all_alignments() -> None:
    logits = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    probabilities = logits[0].softmax(dim=-1)
    likely = 0.0
    for path in itertools.product(range(3), repeat=4):
        if collapsed(path, blank=2) == [1, 0]:
            likely += math.prod(float(probabilities[t, token]) for t, token in enumerate(path))
    found = ctc_loss(logits, torch.tensor([4]), [[1, 0]])
    assert float(found) == pytest.approx(-math.log(likely) / 4, rel=1e-5)


def test_padding_and_other_clips_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 9, 14, generator=generator)
    lengths = torch.tensor([9, 6])
    alone = [
        ctc_loss(logits[row : row + 1, :n], torch.tensor([n]), [text])
        for row, (n, text) in enumerate(zip((9, 6), TEXTS, strict=True))
    ]
    expected = (9 * alone[0] + 6 * alone[1]) / 15
    torch.testing.assert_close(ctc_loss(logits, lengths, TEXTS), expected)


def test_a_text_too_long_for_its_frames_teaches_nothing() -> None:
    logits = torch.randn(2, 9, 14, requires_grad=True)
    loss = ctc_loss(logits, torch.tensor([2, 6]), TEXTS)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[0] == 0).all()
    assert (logits.grad[1, :6] != 0).any()
    assert (logits.grad[1, 6:] == 0).all()


def test_the_objective_adds_the_mean_of_its_heads() -> None:
    model = tiny_model(audio_ctc=True, video_ctc=True)
    routes = RoutePlan(model.config, ObjectiveSettings(), 0).all()
    results = [
        TrainingObjective(model, ObjectiveSettings(ctc=CtcSettings(weight=weight)))(
            labels=LABELS, routes=routes, **tiny_inputs()
        )
        for weight in (0.0, 0.5)
    ]
    assert "ctc_audio" not in results[0]
    heads = (results[1]["ctc_audio"] + results[1]["ctc_video"]) / 2
    torch.testing.assert_close(results[1]["loss"], results[0]["loss"] + 0.5 * heads)
    results[1]["loss"].backward()
    assert model.audio_ctc_head.weight.grad.abs().sum() > 0
    assert model.video_ctc_head.weight.grad.abs().sum() > 0


def test_only_streams_that_a_step_uses_are_scored() -> None:
    model = tiny_model(audio_ctc=True, video_ctc=True)
    routes = [item for item in RoutePlan(model.config, ObjectiveSettings(), 0).all()
              if item.route.modality == "audio"]  # fmt: skip
    objective = TrainingObjective(model, ObjectiveSettings(ctc=CtcSettings(weight=1.0)))
    result = objective(labels=LABELS, routes=routes, **tiny_inputs())
    assert "ctc_audio" in result
    assert "ctc_video" not in result


def test_a_model_without_heads_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ctc.weight needs a model with CTC heads"):
        TrainingObjective(tiny_model(), ObjectiveSettings(ctc=CtcSettings(weight=1.0)))

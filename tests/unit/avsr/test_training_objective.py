"""The training loss, what learns, averages, and which clips are trained on."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from avsr.clips.cache import ClipCache
from avsr.clips.clip import Clip, save_clip
from avsr.manifest import Utterance, read_manifest
from avsr.model import AvsrForConditionalGeneration
from avsr.training.averaging import average_states
from avsr.training.batching import Pick
from avsr.training.examples import TrainingSet, carve_dev, select_examples
from avsr.training.objective import TrainingObjective, checkpoint_language_model
from avsr.training.routes import RoutePlan
from avsr.training.settings import AugmentationSettings, DecorrelationSettings, ObjectiveSettings
from avsr.training.trained_weights import (
    choose_trained,
    load_trained,
    part_of,
    read_trained,
    save_trained,
    trained_state,
)
from tests.tiny import tiny_config, tiny_inputs, tiny_model
from tests.training_data import write_corpus

LABELS = torch.tensor([[8, 9, 10, 2], [11, 12, 2, -100]])


def decorrelated(
    weight: float, layers: Literal["paper", "released"] = "paper"
) -> ObjectiveSettings:
    return ObjectiveSettings(decorrelation=DecorrelationSettings(weight=weight, layers=layers))


def gradients(model: AvsrForConditionalGeneration) -> dict[str, Tensor]:
    """Of all rates and tasks at once, with one backward pass."""
    objective = TrainingObjective(model).train()
    routes = RoutePlan(model.config, ObjectiveSettings(matryoshka="all"), 0).all()
    objective(labels=LABELS, routes=routes, **tiny_inputs())["loss"].backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_the_loss_is_the_weighted_mean_of_the_models_losses() -> None:
    model = tiny_model().train()
    routes = RoutePlan(model.config, ObjectiveSettings(matryoshka="all"), 0).all()
    with torch.no_grad():
        objective = TrainingObjective(model, decorrelated(0.5))
        result = objective(labels=LABELS, routes=routes, **tiny_inputs())
        expected = 0.0
        for item in routes:
            output = model(
                labels=LABELS, route=item.route, decorrelation_layers="paper", **tiny_inputs()
            )
            own = output.loss + 0.5 * output.decorrelation_loss
            expected += item.weight * float(own)
        evaluated = objective.eval()(labels=LABELS, routes=routes, **tiny_inputs())
    assert result["loss"] == pytest.approx(expected, rel=1e-5)
    own = result["cross_entropy"] + 0.5 * result["decorrelation"]
    weighted = sum(item.weight * value for item, value in zip(routes, own.tolist(), strict=True))
    assert result["loss"] == pytest.approx(weighted, rel=1e-5)
    plain = result["cross_entropy"].tolist()
    weighted = sum(item.weight * value for item, value in zip(routes, plain, strict=True))
    assert evaluated["loss"] == pytest.approx(weighted, rel=1e-5)  # no term but while training
    assert evaluated["decorrelation"].tolist() == result["decorrelation"].tolist()


def test_decorrelation_needs_enough_layers() -> None:
    text = {**tiny_config().text_config.to_dict(), "num_hidden_layers": 2}
    model = tiny_model(text_config=text)
    TrainingObjective(model, decorrelated(1.0, layers="released"))
    with pytest.raises(ValueError, match="more than 2"):
        TrainingObjective(model, decorrelated(1.0))


@pytest.mark.parametrize("strategy", ["shared+per_rate", "per_task"])
def test_checkpointing_keeps_the_gradients_of_every_adapter(strategy: str) -> None:
    expected = gradients(tiny_model(lora_strategy=strategy))
    model = tiny_model(lora_strategy=strategy)
    checkpoint_language_model(model)
    found = gradients(model)
    assert set(found) == set(expected)
    assert any("lora_" in name for name in found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_exactly_the_chosen_parts_learn() -> None:
    model = tiny_model(lora_strategy="per_task")
    choose_trained(model, ["projectors"])
    assert {part_of(n) for n, p in model.named_parameters() if p.requires_grad} == {"projectors"}
    choose_trained(model, ["lora", "video_encoder"])
    state = trained_state(model)
    assert {part_of(name) for name in state} == {"lora", "video_encoder"}
    assert any(name.endswith("running_mean") for name in state)
    with pytest.raises(ValueError, match="none of the parts"):
        choose_trained(model, ["encoder_lora"])


def test_trained_weights_come_back(tmp_path: Path) -> None:
    model, other = tiny_model(seed=1), tiny_model(seed=2)
    for each in (model, other):
        choose_trained(each, ["projectors", "lora"])
    save_trained(model, tmp_path)
    load_trained(other, read_trained(tmp_path))
    for name, tensor in trained_state(model).items():
        assert (trained_state(other)[name] == tensor).all()
    choose_trained(other, ["lora"])
    with pytest.raises(ValueError, match="does not fit"):
        load_trained(other, read_trained(tmp_path))


def test_an_average_counts_shared_storage_once() -> None:
    states = []
    for value in (1.0, 3.0):
        weight = torch.full((2, 3), value)
        states.append({"embed": weight, "head": weight, "steps": torch.tensor(int(value))})
    average = average_states(states)
    assert (average["embed"] == 2.0).all()
    assert average["head"] is average["embed"]
    assert average["steps"] == 3
    assert (states[0]["embed"] == 1.0).all()
    with pytest.raises(ValueError, match="not all have"):
        average_states([states[0], {"embed": states[1]["embed"]}])


def test_clips_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    utterances = read_manifest(write_corpus(tmp_path, 4))
    save_clip(tmp_path / "blind.npz", Clip(audio=np.ones(9000, dtype=np.float32)), ["blind"])
    extra = {
        "blind": Utterance(id="blind", path=tmp_path / "blind.npz", text="bin"),
        "gone": Utterance(id="gone", path=tmp_path / "gone.npz", text="bin"),
        "wordless": Utterance(id="wordless", path=utterances[0].path, text="?!"),
    }
    cache = ClipCache(tmp_path / "cache")
    for _ in range(2):  # the second time from what is remembered
        examples, problems = select_examples(
            [*utterances, *extra.values()], cache, sound=True, picture=True, max_duration_s=0.65
        )
        left_out = {problem.id: problem.detail for problem in problems}
        assert left_out["blind"] == "no face was found; left out"
        assert "no such clip file" in left_out["gone"]
        assert left_out["wordless"] == "the text has no word; left out"
        assert left_out["clip2"] == "longer than 0.65 s (0.7 s); left out"
        assert [example.n_frames for example in examples] == [14, 16, 14]


def test_dev_speakers_are_not_trained_on(tmp_path: Path) -> None:
    utterances = read_manifest(write_corpus(tmp_path, 8, n_speakers=4))
    examples, _ = select_examples(
        utterances, ClipCache(tmp_path / "cache"), sound=True, picture=True, max_duration_s=16
    )
    train, dev = carve_dev(examples, 1, seed=0)
    speakers = [{example.utterance.speaker for example in part} for part in (train, dev)]
    assert len(speakers[1]) == 1
    assert not speakers[0] & speakers[1]
    assert len(train) + len(dev) == 8
    with pytest.raises(ValueError, match="4 of 4 speakers"):
        carve_dev(examples, 4, seed=0)


def test_a_clips_augmentation_depends_on_its_place_alone(tmp_path: Path) -> None:
    utterances = read_manifest(write_corpus(tmp_path, 2))
    cache = ClipCache(tmp_path / "cache")
    examples, _ = select_examples(utterances, cache, sound=True, picture=True, max_duration_s=16)
    clips = TrainingSet(
        examples, cache, sound=True, picture=True, augmentation=AugmentationSettings(), seed=1
    )
    first, again, later = (clips[Pick(0, epoch, 0, 0)] for epoch in (0, 0, 1))
    assert first.audio is not None
    assert first.mouth is not None
    assert later.mouth is not None
    assert len(first.audio) == 640 * len(first.mouth)
    assert (first.mouth == again.mouth).all()
    assert (first.mouth != later.mouth).any()

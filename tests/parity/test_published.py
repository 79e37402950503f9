"""Published checkpoints against tensors computed by the official code, through the public path.

Each case is converted by ``avsr convert``, loaded by ``from_pretrained``, fed by the processor. The
official single-clip results are the reference; its training batches carry a shorter clip's padding
*inside* the sequence without any mask, which is expressed here by declaring every frame real.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from avsr import AvsrForConditionalGeneration, AvsrProcessor
from avsr.cli import run
from avsr.route import Route
from avsr.training.objective import TrainingObjective
from avsr.training.routes import WeightedRoute
from avsr.training.settings import DecorrelationSettings, ObjectiveSettings
from tests.golden_cases import CASES, base_video_encoder, official_checkpoint

MODALITIES = {"audio": "audio", "video": "video", "audiovisual": "av"}
LOGITS = re.compile(r"(audiovisual|audio|video)(?:_a(\d+))?(?:_v(\d+))?_logits")


@dataclass(frozen=True)
class Case:
    """A converted model beside what the official code computed."""

    folder: Path
    model: Any  # an AvsrForConditionalGeneration
    processor: AvsrProcessor
    meta: dict[str, Any]
    inputs: dict[str, np.ndarray]
    expected: dict[str, Tensor]

    def batch(self, *clips: int, modality: str, texts: bool = False) -> dict[str, Tensor]:
        return dict(
            self.processor(
                audio=[self.inputs[f"audio_{clip}"] for clip in clips],
                video=[self.inputs[f"mouth_u8_{clip}"] for clip in clips],
                text=[self.meta["texts"][clip] for clip in clips] if texts else None,
                modality=modality,
            )
        )

    def settings(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and options of every combination of task and rates."""
        found = []
        for name in self.expected:
            match = LOGITS.fullmatch(name)
            if match:
                task, audio, video = match.groups()
                rates = {"audio_rate": audio and int(audio), "video_rate": video and int(video)}
                options = {"modality": MODALITIES[task], **rates}
                found.append((name.removesuffix("_logits"), options))
        return found


@pytest.fixture(scope="module", params=CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    source = request.param
    meta = json.loads((source / "meta.json").read_text())
    work = tmp_path_factory.mktemp("published")
    folder = work / source.name
    arguments = ["--language-model", source / "llm", "--lora-scaling", meta["lora"]["scaling"]]
    encoders = {"audio": source / "whisper", "video": base_video_encoder(source)}
    for stream, encoder in encoders.items():
        if f"{stream}_proj" in {name.partition(".")[0] for name in meta["keys"]}:
            rates = np.atleast_1d(meta["options"][f"downsample_ratio_{stream}"])
            arguments += [f"--{stream}-encoder", encoder]
            arguments += [f"--{stream}-rates", ",".join(map(str, rates))]
    checkpoint = official_checkpoint(source, work / "official")
    command = ["convert", checkpoint, "-o", folder, *arguments]
    assert run([str(argument) for argument in command]) == 0
    return Case(
        folder=folder,
        model=AvsrForConditionalGeneration.from_pretrained(folder),
        processor=AvsrProcessor.from_pretrained(folder),
        meta=meta,
        inputs=dict(np.load(source / "inputs.npz")),
        expected={k: torch.from_numpy(v) for k, v in np.load(source / "expected.npz").items()},
    )


def assert_close(actual: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


@torch.no_grad()
def test_logits(case: Case) -> None:
    assert case.settings()
    for name, options in case.settings():
        batch = case.batch(0, modality=options["modality"])
        assert_close(case.model(**batch, **options).logits, case.expected[f"{name}_logits"], 1e-4)


@torch.no_grad()
def test_encoder_features(case: Case) -> None:
    for task, modality in MODALITIES.items():
        if f"{task}_whisper" in case.expected:
            batch = case.batch(0, modality=modality)
            audio = encode(case, batch, "audio")
            assert_close(audio.features, case.expected[f"{task}_whisper"], 1e-5)
            assert audio.lengths.tolist() == [case.meta["shapes"][f"{task}_whisper_frames"]]
        if f"{task}_avhubert" in case.expected:
            batch = case.batch(0, modality=modality)
            assert_close(
                encode(case, batch, "video").features, case.expected[f"{task}_avhubert"], 1e-5
            )


def encode(case: Case, batch: dict[str, Tensor], stream: str) -> Any:
    """What the encoder of one stream makes of a batch of both."""
    names = {
        "audio": ("input_features", "audio_lengths"),
        "video": ("video_values", "video_lengths"),
    }
    encoded = case.model.encode(**{name: batch[name] for name in names[stream]})
    return getattr(encoded, stream)


@torch.no_grad()
def test_projected_tokens(case: Case) -> None:
    """The audio and video tokens are slices of the official inputs_embeds."""
    for name, options in case.settings():
        batch = case.batch(0, modality=options["modality"])
        embeds = case.expected[f"{name}_inputs_embeds"]
        start = 2  # BOS and a marker come first
        for stream, values in (("audio", "input_features"), ("video", "video_values")):
            if options[f"{stream}_rate"] is None:
                continue
            get_features = getattr(case.model, f"get_{stream}_features")
            tokens = get_features(
                batch[values], batch[f"{stream}_lengths"], rate=options[f"{stream}_rate"]
            )
            assert_close(tokens, embeds[:, start : start + tokens.shape[1]], 1e-5)
            start += tokens.shape[1] + 2
        n_prompt = len(case.model.config.prompt_ids[options["modality"]])
        assert start - 1 + n_prompt == embeds.shape[1]


@pytest.mark.parametrize(("beams", "suffix"), [(1, "greedy"), (4, "beam4")])
def test_generated_ids(case: Case, beams: int, suffix: str) -> None:
    for name, options in case.settings():
        batch = case.batch(0, modality=options["modality"])
        ids = case.model.generate(**batch, **options, num_beams=beams, max_new_tokens=16)
        assert ids.tolist() == case.expected[f"{name}_{suffix}_ids"].tolist(), name


@torch.no_grad()
def test_rounded_rotary_frequencies(case: Case) -> None:
    """Encoders and frame counts stay clean here, as in the reference: only the LLM is rounded."""
    rounded = AvsrForConditionalGeneration.from_pretrained(case.folder, official_numerics=True)
    for name, options in case.settings():
        batch = case.batch(0, modality=options["modality"])
        logits = rounded(streams=case.model.encode(**batch), **options).logits[:, -1]
        assert_close(logits, case.expected[f"{name}_logits_rope_bf16_freqs"], 1e-4)


@torch.no_grad()
def test_clean_and_rounded_frequencies_differ(case: Case) -> None:
    differences = [
        (case.expected[f"{name}_logits"][:, -1] - case.expected[f"{name}_logits_rope_bf16_freqs"])
        for name, _ in case.settings()
    ]
    assert max(float(d.abs().max()) for d in differences) > 1e-4


def official_training_batch(case: Case, modality: str) -> dict[str, Tensor]:
    """Clips 0 and 1 without masks: every frame up to the longest clip counts as real.

    Models of one rate drop each clip's trailing frames before padding it with zeros.
    """
    batch = case.batch(0, 1, modality=modality, texts=True)
    for stream in ("audio", "video"):
        if f"{stream}_lengths" in batch:
            lengths = batch[f"{stream}_lengths"]
            if stream == "video" and case.model.config.trim_video_to_rate:
                rate = case.model.config.video_rates[0]
                for values, n_frames in zip(batch["video_values"], lengths, strict=True):
                    values[n_frames // rate * rate :] = 0
            lengths.fill_(int(lengths.max()))
    return batch


def training_objective(case: Case) -> TrainingObjective:
    weight = case.meta["options"]["sink_loss_factor"] * case.meta["options"]["add_sink_loss"]
    model = AvsrForConditionalGeneration.from_pretrained(case.folder)
    term = DecorrelationSettings(weight=weight, layers="released")
    # no dropout anywhere; the frozen encoders stay in evaluation
    return TrainingObjective(model, ObjectiveSettings(decorrelation=term)).train()


def assert_loss(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=0)


@torch.no_grad()
def test_training_losses(case: Case) -> None:
    objective = training_objective(case)
    trained = list(objective.model.config.modalities or ())
    # All tasks of one model see the same audio, cut to the video's length.
    batch = official_training_batch(case, "av" if "av" in trained else trained[0])
    passes = {
        tuple(options.values()): objective(routes=[WeightedRoute(Route(**options), 1.0)], **batch)
        for _, options in case.settings()
    }
    losses = {key: values["loss"] for key, values in passes.items()}
    if "train_ce_loss" in case.expected:
        (values,) = passes.values()
        assert_loss(values["cross_entropy"][0], case.expected["train_ce_loss"])
        options = case.meta["options"]
        weighted = values["decorrelation"][0] * options["sink_loss_factor"]
        assert_loss(weighted, case.expected["train_sink_loss"])
        assert_loss(values["loss"], case.expected["train_loss_total"])
        return
    if "train_loss_total" in case.expected:  # the mean over rates, or over weighted tasks
        values = torch.stack(list(losses.values()))
        if len(trained) == 3:
            values = values * torch.tensor(case.meta["options"]["matry_weights"])
        assert_loss(values.mean(), case.expected["train_loss_total"])
        return
    compared = 0
    for name, expected in case.expected.items():
        match = re.fullmatch(r"train_a(\d+)_v(\d+)_losses_audio_video_av", name)
        if match:
            audio, video = int(match[1]), int(match[2])
            outputs = [
                losses["audio", audio, None],
                losses["video", None, video],
                losses["av", audio, video],
            ]
            weights = torch.tensor(case.meta["options"]["matry_weights"])
            weighted = torch.stack(outputs) * weights
            assert_loss(weighted, expected)
            assert_loss(weighted.mean(), case.expected[f"train_a{audio}_v{video}_loss_total"])
            compared += 1
    assert compared


def test_labels_are_the_official_tokens(case: Case) -> None:
    labels = case.batch(0, 1, modality=case.model.config.modalities[0], texts=True)["labels"]
    assert labels.tolist() == case.expected["train_labels_in"][:, 1:].tolist()


@torch.no_grad()
def test_padding_in_a_batch_changes_nothing(case: Case) -> None:
    """Where we mask and the official training does not: each clip is as it is alone."""
    name, options = case.settings()[-1]
    both = case.batch(0, 1, modality=options["modality"])
    logits = case.model(**both, **options).logits[:, -1]
    assert_close(logits[:1], case.expected[f"{name}_logits"][:, -1], 1e-4)
    alone = case.model(**case.batch(1, modality=options["modality"]), **options).logits[:, -1]
    assert_close(logits[1:], alone, 1e-4)

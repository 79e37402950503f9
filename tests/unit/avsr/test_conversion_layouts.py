"""Every layout of published checkpoints, against a reference computed by hand."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from avsr import AvsrForConditionalGeneration, AvsrProcessor
from avsr.cli import run
from tests.published import AUDIO, VIDEO, Published, Recipe

ONE = {"audio": (3,), "video": (3,)}
MANY = {"audio": (4, 16), "video": (2, 5)}
TASKS = {"audio": "audio", "video": "video", "audiovisual": "av"}
AUDIO_ONLY, VIDEO_ONLY = ("audio",), ("video",)

RECIPES = {
    "llama-avsr audio stack": Recipe(streams=AUDIO_ONLY, rates=ONE, stack=True, tied=False),
    "llama-avsr video stack": Recipe(
        streams=VIDEO_ONLY, rates=ONE, stack=True, tied=False, avhubert_lora=True
    ),
    "llama-avsr av stack": Recipe(stack=True, tied=False),
    "llama-avsr audio pooled": Recipe(streams=AUDIO_ONLY, rates={"audio": (16,)}),
    "llama-avsr video pooled, norm, lora": Recipe(
        streams=VIDEO_ONLY, rates={"video": (5,)}, layer_norm=True, avhubert_lora=True
    ),
    "llama-avsr av pooled": Recipe(layer_norm=True),
    "llama-avsr without lora": Recipe(lora=None),
    "llama-avsr post-norm av-hubert": Recipe(streams=VIDEO_ONLY, norm_first=False),
    "llama-avsr qwen": Recipe(family="qwen"),
    "llama-avsr lightning": Recipe(lightning=True),
    "mtsk audio": Recipe(streams=AUDIO_ONLY, rates=MANY, per_rate=True, layer_norm=True),
    "mtsk video": Recipe(streams=VIDEO_ONLY, rates=MANY, per_rate=True, layer_norm=True),
    "mtsk video stack": Recipe(
        streams=VIDEO_ONLY, rates=MANY, per_rate=True, layer_norm=True, stack=True
    ),
    "mtsk audio stack": Recipe(streams=AUDIO_ONLY, rates=MANY, per_rate=True, stack=True),
    "mtsk av": Recipe(rates=MANY, per_rate=True, layer_norm=True),
    "mtsk av, rates in another order": Recipe(
        rates={"audio": (16, 4), "video": (5, 2)}, per_rate=True, layer_norm=True
    ),
    "mt": Recipe(layer_norm=True, prompts=True, avhubert_lora=True),
    "omni S": Recipe(rates=MANY, per_rate=True, prompts=True, avhubert_lora=True),
    "omni T": Recipe(rates=MANY, per_rate=True, prompts=True, lora="task"),
    "omni ST": Recipe(rates=MANY, per_rate=True, prompts=True, lora="task+shared"),
    "omni stack": Recipe(rates=MANY, per_rate=True, prompts=True, stack=True),
    "omni single projector": Recipe(rates=MANY, layer_norm=True, prompts=True),
}


def tasks_of(recipe: Recipe) -> list[str]:
    if recipe.prompts:
        return list(TASKS)
    return ["audiovisual"] if len(recipe.streams) == 2 else [recipe.streams[0]]


@pytest.mark.parametrize("name", RECIPES)
@torch.no_grad()
def test_layout(name: str, tmp_path: Path) -> None:
    published = Published(tmp_path, RECIPES[name])
    recipe = published.recipe
    assert run([*map(str, published.arguments), "-o", str(tmp_path / "model")]) == 0
    model = AvsrForConditionalGeneration.from_pretrained(tmp_path / "model")
    processor = AvsrProcessor.from_pretrained(tmp_path / "model")
    assert model.config.modalities == [TASKS[task] for task in tasks_of(recipe)]
    for task in tasks_of(recipe):
        batch = processor(audio=AUDIO, video=VIDEO, modality=TASKS[task])
        audio_rates = recipe.rates["audio"] if task != "video" else (None,)
        video_rates = recipe.rates["video"] if task != "audio" else (None,)
        for audio_rate in audio_rates:
            for video_rate in video_rates:
                logits = model(
                    **batch, modality=TASKS[task], audio_rate=audio_rate, video_rate=video_rate
                ).logits
                expected = published.logits(task, audio_rate, video_rate)
                torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["omni ST", "llama-avsr av stack", "llama-avsr lightning"])
def test_every_tensor_is_used_once(name: str, tmp_path: Path) -> None:
    """A change of any tensor but the unneeded ones changes the model's weights."""
    recipe = dataclasses.replace(RECIPES[name], tied=False)
    published = Published(tmp_path, recipe)
    assert run([*map(str, published.arguments), "-o", str(tmp_path / "model")]) == 0
    state = AvsrForConditionalGeneration.from_pretrained(tmp_path / "model").state_dict()
    unneeded = ("mask_emb", "label_embs_concat", "final_proj.weight", "final_proj.bias")
    needed = [key for key in published.tensors if not key.endswith(unneeded)]
    assert len(state) == len(needed)
    ours = sorted(float(tensor.double().sum()) for tensor in state.values())
    theirs = sorted(float(published.tensors[key].double().sum()) for key in needed)
    assert ours == theirs


def test_bfloat16_stays_and_can_be_changed(tmp_path: Path) -> None:
    published = Published(tmp_path, RECIPES["omni S"])
    for name, tensor in published.tensors.items():
        if tensor.is_floating_point():
            published.tensors[name] = tensor.bfloat16()
    published.save()
    arguments = [*map(str, published.arguments), "-o"]
    assert run([*arguments, str(tmp_path / "half")]) == 0
    half: Any = AvsrForConditionalGeneration.from_pretrained(tmp_path / "half")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half.video_encoder.feature_extractor_video.resnet.frontend3D[1].running_var.dtype == (
        torch.bfloat16
    )
    assert run([*arguments, str(tmp_path / "full"), "--dtype", "float32"]) == 0
    full = AvsrForConditionalGeneration.from_pretrained(tmp_path / "full")
    assert {p.dtype for p in full.parameters()} == {torch.float32}
    for (name, ours), other in zip(
        full.state_dict().items(), half.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, other.to(ours.dtype)), name

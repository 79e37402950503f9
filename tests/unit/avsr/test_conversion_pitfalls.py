"""What is easy to get wrong with published checkpoints, one test for each line of the list."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from avsr import AvsrForConditionalGeneration, AvsrProcessor
from avsr.cli import run
from avsr_frontends.audio import audio_frame_count, log_mel, normalise_waveform
from tests.published import AUDIO, HIDDEN, VIDEO, Published, Recipe

MATRYOSHKA = {"audio": (4, 16), "video": (2, 5)}


def converted(published: Published, *changes: str) -> tuple[Any, AvsrProcessor]:
    folder = published.folder / "model"
    assert run([*map(str, published.arguments), *changes, "-o", str(folder)]) == 0
    model = AvsrForConditionalGeneration.from_pretrained(folder)
    return model, AvsrProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def single_rate(tmp_path_factory: pytest.TempPathFactory) -> Published:
    recipe = Recipe(rates={"audio": (4,), "video": (5,)}, avhubert_lora=True)
    return Published(tmp_path_factory.mktemp("single"), recipe)


@pytest.fixture(scope="module")
def model_and_processor(single_rate: Published) -> tuple[Any, AvsrProcessor]:
    return converted(single_rate)


def test_1_frame_counts_are_divided_in_single_precision() -> None:
    assert audio_frame_count(33_920, padded=True) == 105  # 106 in exact arithmetic
    assert audio_frame_count(33_500, padded=True) == 104
    assert audio_frame_count(100, padded=True) == 25
    assert audio_frame_count(35_840, padded=True) == 112
    assert audio_frame_count(35_840, padded=True, official_numerics=True) != 112


@torch.no_grad()
def test_1_single_rate_models_trim_before_the_encoder(
    model_and_processor: tuple, single_rate: Published, tmp_path: Path
) -> None:
    model, processor = model_and_processor
    batch = processor(video=VIDEO, modality="video")
    encoded = model.encode(**batch).video
    assert (encoded.features.shape[1], encoded.lengths.tolist()) == (
        15,
        [15],
    )  # of 19 frames, rate 5
    shorter = processor(video=VIDEO[:15], modality="video")
    alone = model.encode(**shorter).video.features
    torch.testing.assert_close(encoded.features, alone, atol=1e-6, rtol=0)
    several = Published(tmp_path, Recipe(rates=MATRYOSHKA, per_rate=True))
    model, processor = converted(several)
    encoded = model.encode(**batch).video
    assert (encoded.features.shape[1], encoded.lengths.tolist()) == (19, [19])


@torch.no_grad()
def test_2_missing_sound_is_zero_after_its_projection_and_comes_first(
    model_and_processor: tuple,
) -> None:
    model, processor = model_and_processor
    values = processor(video=VIDEO, modality="video")["video_values"]
    encoder = model.video_encoder
    video = encoder.feature_extractor_video(values)
    fused = torch.cat([torch.zeros_like(video), video], dim=-1)
    expected = encoder.post_extract_proj(encoder.layer_norm(fused))
    torch.testing.assert_close(encoder.fuse(values, None, None), expected, atol=1e-6, rtol=0)
    assert float(encoder.feature_extractor_audio.proj.bias.abs().sum()) > 0
    swapped = encoder.post_extract_proj(encoder.layer_norm(fused.roll(video.shape[-1], dims=-1)))
    assert not torch.allclose(expected, swapped, atol=1e-2)


def test_3_rank_is_a_divisor_and_scalings_are_fixed(
    model_and_processor: tuple, single_rate: Published
) -> None:
    config = model_and_processor[0].config
    assert config.lora_rank == HIDDEN // 8  # "rank 8" in the published options
    assert config.lora_scaling == 4 / 8
    assert config.video_config.lora_scaling == 2.0
    assert config.video_config.lora_bottleneck == 2
    model, _ = converted(single_rate, "--lora-scaling", "0.125")
    assert model.config.lora_scaling == 0.125
    assert model.lora.layers[0].scaling == {"shared": 0.125}


@pytest.mark.parametrize(
    ("width", "bottleneck", "scaling"), [(2048, 64, 0.125), (3072, 96, 0.125), (4096, 64, 0.125)]
)
def test_3_published_scalings(width: int, bottleneck: int, scaling: float) -> None:
    from avsr.conversion.model_config import lora_scaling

    assert lora_scaling(width, bottleneck) == (scaling, None)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_4_layer_norm_is_decided_from_the_keys(layer_norm: bool, tmp_path: Path) -> None:
    recipe = Recipe(rates=MATRYOSHKA, per_rate=True, prompts=True, layer_norm=layer_norm)
    published = Published(tmp_path, recipe)
    renamed = tmp_path / "pool-audio4-16_video2-5_LN_seed7.pth"  # "LN" in a name says nothing
    published.file.rename(renamed)
    published.arguments[1] = renamed
    model, _ = converted(published)
    projector = model.audio_projector.projectors["16"]
    assert [type(part).__name__ for part in projector] == [
        "Linear", "ReLU", "Linear", *(["LayerNorm"] if layer_norm else []),
    ]  # fmt: skip


def test_5_statistics_and_embeddings_come_from_the_checkpoint(tmp_path: Path) -> None:
    published = Published(tmp_path, Recipe())
    scaled = published.tensors["llm.model.embed_tokens.weight"] * 0.4375  # the averaging bug
    published.tensors["llm.model.embed_tokens.weight"] = scaled
    published.tensors["llm.lm_head.weight"] = scaled.clone()  # equal, stored twice
    published.save()
    model, _ = converted(published)
    assert torch.equal(model.get_input_embeddings().weight, scaled)
    assert model.language_model.lm_head.weight is model.get_input_embeddings().weight
    norm = model.video_encoder.feature_extractor_video.resnet.frontend3D[1]
    name = "feature_extractor_video.resnet.frontend3D.1.running_mean"
    assert torch.equal(norm.running_mean, published.tensors[f"video_encoder.{name}"])
    base = torch.load(tmp_path / "avhubert.pt")["model"][name]
    assert not torch.equal(norm.running_mean, base)


@torch.no_grad()
def test_6_prompt_without_bos_and_eos_and_markers_from_the_vocabulary(
    model_and_processor: tuple, single_rate: Published
) -> None:
    model, processor = model_and_processor
    words = [processor.tokenizer.decode([i]) for i in model.config.prompt_ids["av"]]
    assert words == ["Transcribe", "speech", "and", "video", "to", "text", "."]
    batch = processor(audio=AUDIO, video=VIDEO, modality="av")
    seen = {}

    def keep(_module: object, _arguments: object, options: dict) -> None:
        seen["embeds"] = options["inputs_embeds"]

    hook = model.language_model.register_forward_pre_hook(keep, with_kwargs=True)
    model(**batch, modality="av")
    hook.remove()
    table = single_rate.tensors["llm.model.embed_tokens.weight"]
    embeds = seen["embeds"][0]
    assert torch.equal(embeds[0], table[1])  # BOS
    assert torch.equal(embeds[1], table[single_rate.ids["<audio>"]])
    assert torch.equal(embeds[-8], table[single_rate.ids["</video>"]])
    assert torch.equal(embeds[-7:], table[model.config.prompt_ids["av"]])


def test_7_audio_is_fitted_to_the_untrimmed_video_before_normalisation(
    model_and_processor: tuple,
) -> None:
    _, processor = model_and_processor
    batch = processor(audio=AUDIO + 0.5, video=VIDEO, modality="av")
    n_samples = 640 * len(VIDEO)  # 19 frames, though the video encoder sees 15
    assert batch["audio_lengths"].tolist() == [n_samples]
    longer = processor(audio=AUDIO + 0.5, video=np.repeat(VIDEO, 2, axis=0), modality="av")
    padded = np.pad(AUDIO + 0.5, (0, 2 * n_samples - len(AUDIO)))
    expected = log_mel(normalise_waveform(padded), padded=True)
    torch.testing.assert_close(longer["input_features"][0], expected, atol=1e-5, rtol=0)


def test_8_pad_is_not_eos(model_and_processor: tuple) -> None:
    model, processor = model_and_processor
    config = model.config
    assert processor.tokenizer.convert_ids_to_tokens(config.pad_token_id) == "<pad>"
    assert config.pad_token_id != config.eos_token_id
    assert model.language_model.generation_config.pad_token_id == config.pad_token_id
    labels = processor(text=["hello world", "hello"])["labels"]
    assert labels[:, -1].tolist() == [config.eos_token_id, -100]


def test_8_padding_token_of_a_copied_base_model_is_not_taken(tmp_path: Path) -> None:
    """Some copies of base models define a padding token; five more rows say ``<pad>`` was added."""
    published = Published(tmp_path, Recipe())
    published.tokenizer.pad_token = "</s>"
    published.tokenizer.save_pretrained(tmp_path / "llm")
    model, processor = converted(published)
    assert processor.tokenizer.pad_token == "<pad>"
    assert model.config.audio_start_token_id == published.ids["<audio>"]


def test_9_rotary_frequencies_are_rounded_on_demand_only(single_rate: Published) -> None:
    clean, _ = converted(single_rate)
    rounded, processor = converted(single_rate, "--official-numerics")
    assert processor.official_numerics
    frequencies = [model.language_model.model.rotary_emb.inv_freq for model in (clean, rounded)]
    assert frequencies[1].dtype == torch.float32
    assert torch.equal(frequencies[1], frequencies[0].bfloat16().float())
    assert not torch.equal(frequencies[0], frequencies[1])


def test_10_base_models_cannot_switch_sampling_on(
    model_and_processor: tuple, single_rate: Published
) -> None:
    model, processor = model_and_processor
    hidden = json.loads((single_rate.folder / "llm/generation_config.json").read_text())
    assert hidden["do_sample"]
    assert not model.language_model.generation_config.do_sample
    batch = processor(audio=AUDIO, video=VIDEO, modality="av")
    runs = []
    for seed in range(3):
        torch.manual_seed(seed)
        runs.append(model.generate(**batch, num_beams=3, max_new_tokens=6).tolist())
    assert runs[0] == runs[1] == runs[2]


def test_11_rope_scaling_is_honoured(model_and_processor: tuple) -> None:
    model, _ = model_and_processor
    frequencies = model.language_model.model.rotary_emb.inv_freq
    head_size = HIDDEN // 4
    plain = 500.0 ** (-torch.arange(0, head_size, 2) / head_size)
    assert model.config.text_config.rope_parameters["rope_type"] == "llama3"
    torch.testing.assert_close(frequencies[0], plain[0])  # high frequencies stay ...
    torch.testing.assert_close(frequencies[-1], plain[-1] / 32)  # ... and low ones are divided


def test_12_features_are_those_of_hugging_face(model_and_processor: tuple) -> None:
    _, processor = model_and_processor
    ours = processor(audio=AUDIO, modality="audio")["input_features"]
    wave = (AUDIO - AUDIO.mean()) / np.sqrt(AUDIO.var() + 1e-8)
    theirs = WhisperFeatureExtractor()(wave, sampling_rate=16_000, return_tensors="pt")
    assert ours.shape == (1, 80, 3000)
    torch.testing.assert_close(ours, theirs.input_features, atol=1e-4, rtol=0)

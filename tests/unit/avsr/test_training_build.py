"""The model a run starts from, built by the recipes themselves around tiny base models."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperModel,
)

from avsr.errors import ModelUnavailableError, UsageError
from avsr.model import AvsrForConditionalGeneration
from avsr.training.build import build_model
from avsr.training.routes import RoutePlan
from avsr.training.settings_file import load_settings
from avsr.training.trained_weights import part_of
from avsr_frontends.avhubert import AvHubertEncoder
from tests.tiny import tiny_config

LRS = Path(__file__).parents[3] / "recipes" / "lrs"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of a language model with its tokenizer, a Whisper and an AV-HuBERT."""
    folder = tmp_path_factory.mktemp("bases")
    config = tiny_config()
    text = config.text_config.to_dict() | {"vocab_size": 20}
    LlamaForCausalLM(LlamaConfig.from_dict(text)).save_pretrained(folder / "text")
    vocabulary = {word: index for index, word in enumerate(["<unk>", "<s>", "</s>", "Transcribe"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder / "text")
    audio = config.audio_config.to_dict() | {
        "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "vocab_size": 30,
        "max_target_positions": 8, "pad_token_id": 0, "decoder_start_token_id": 1,
    }  # fmt: skip
    WhisperModel(WhisperConfig.from_dict(audio)).save_pretrained(folder / "audio")
    AvHubertEncoder(config.video_config).save_pretrained(folder / "video")
    return folder


def built(
    recipe: str, bases: Path, *changes: str
) -> tuple[AvsrForConditionalGeneration, list[str], RoutePlan]:
    """The model of a recipe around the tiny base models."""
    settings = load_settings(
        [LRS / "systems" / f"{recipe}.yaml", LRS / "data" / "lrs3.yaml"],
        [
            "output=runs/try",
            f"init.language_model={bases / 'text'}",
            f"init.audio_encoder={bases / 'audio'}",
            f"init.video_encoder={bases / 'video'}",
            "init.offline=true",
            "model.projector_hidden_size=8",
            *changes,
        ],
    )
    model = build_model(settings).model
    names: Any = () if model.lora is None else model.lora.names
    return model, list(names), RoutePlan(model.config, settings.objective, settings.seed)


@pytest.mark.parametrize(
    ("recipe", "adapters", "n_passes", "learning"),
    [
        ("llama-mtsk-mss", ["shared", "a4_v2", "a4_v5", "a16_v2", "a16_v5"], 4, "projectors lora"),
        ("omni-avsr-st", ["shared", "asr", "vsr", "avsr"], 3, "projectors lora encoder_lora"),
        ("llama-avsr-decorrelation", ["shared"], 1, "projectors lora"),
        ("proposal", ["shared", "a4", "a16", "v2", "v5", "a4_v2", "a4_v5", "a16_v2", "a16_v5"], 3,
         "projectors lora encoder_lora"),
    ],
)  # fmt: skip
def test_recipes_build_their_models(
    bases: Path, recipe: str, adapters: list[str], n_passes: int, learning: str
) -> None:
    model, names, plan = built(recipe, bases)
    assert sorted(names) == sorted(adapters)
    assert len(plan.draw(0, 0)) == n_passes
    assert {part_of(n) for n, p in model.named_parameters() if p.requires_grad} == set(
        learning.split()
    )


def test_frozen_weights_may_be_bfloat16_and_the_folder_holds_what_was_trained(
    bases: Path, tmp_path: Path
) -> None:
    model, _, _ = built("omni-avsr-s", bases, "init.dtype=bfloat16")
    kinds = {
        (part_of(name), parameter.dtype)
        for name, parameter in model.named_parameters()
        if part_of(name) in ("language_model", "projectors", "lora", "encoder_lora")
    }
    assert kinds == {
        ("language_model", torch.bfloat16),
        ("projectors", torch.float32),
        ("lora", torch.float32),
        ("encoder_lora", torch.float32),
    }
    model.save_pretrained(tmp_path / "model")
    again = AvsrForConditionalGeneration.from_pretrained(tmp_path / "model", local_files_only=True)
    mine = dict(model.named_parameters())
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter.float(), mine[name].float()), name


def test_tied_heads_are_built_from_a_list_of_pieces(bases: Path, tmp_path: Path) -> None:
    pieces = tmp_path / "pieces.json"
    pieces.write_text("[3, 2]")
    tied = [
        "model.audio_ctc=tied", f"model.ctc_pieces={pieces}", "objective.ctc.weight=0.3",
        "objective.train=[projectors,ctc_heads]",
    ]  # fmt: skip
    model, _, _ = built("proposal", bases, *tied)
    assert model.video_ctc_head is None
    learning = {name for name, one in model.named_parameters() if one.requires_grad}
    assert {"audio_ctc_head.blank_vector", "audio_ctc_head.scale"} < learning
    assert model.ctc_pieces is not None
    assert model.ctc_pieces.spell([3, 2, 1]) == [[0], [1], []]
    for wrong in ('["a"]', "{", "[true]", "[]", "[7]", "[99]"):
        pieces.write_text(wrong)
        with pytest.raises(UsageError, match=r"model.*ctc_pieces"):
            built("proposal", bases, *tied)


def test_new_weights_depend_on_the_seed_alone(bases: Path) -> None:
    projectors: list[Any] = [
        built("proposal", bases, f"seed={seed}")[0].audio_projector for seed in (1, 1, 2)
    ]
    first, second, other = projectors
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(iter(first.parameters())), next(iter(other.parameters())))


def test_what_cannot_be_built_is_told_in_the_settings_words(bases: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"init: "):
        built("proposal", bases, f"init.language_model={bases / 'nothing'}")
    with pytest.raises(UsageError, match=r"model: .*audio_rates"):
        built("proposal", bases, "model.audio_rates=[4, 4]")
    with pytest.raises(UsageError, match=r"objective\.train: "):
        built("llama-avsr", bases, "objective.train=[encoder_lora]")

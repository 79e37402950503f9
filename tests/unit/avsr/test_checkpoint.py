"""Model folders: what is written is what is read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperModel,
)

from avsr.config import AvsrConfig
from avsr.model import AvsrForConditionalGeneration
from avsr.model_files.base_models import configure, load_base_models
from avsr.model_parts.adapters import adapters_of
from avsr.route import Route
from avsr_frontends.avhubert import AvHubertEncoder
from tests.tiny import EOS, tiny_config, tiny_model, tiny_streams

ASKED = {"modality": "av", "audio_rate": 4, "video_rate": 2}


def logits(model, **changes):
    with torch.no_grad():
        return model(streams=tiny_streams([20, 13]), **{**ASKED, **changes}).logits


def load(folder, **options) -> Any:
    return AvsrForConditionalGeneration.from_pretrained(folder, **options)


@pytest.mark.parametrize("tied", [False, True])
def test_saved_and_read_back(tmp_path, tied):
    text = tiny_config().text_config.to_dict() | {"tie_word_embeddings": tied}
    model = tiny_model(
        text_config=text, lora_strategy="shared+per_rate", audio_ctc=True, prompt_embeddings=True
    )
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert not again.training
    for modality in ("audio", "video", "av"):
        assert torch.equal(logits(model, modality=modality), logits(again, modality=modality))
    assert torch.equal(
        again.generate(streams=tiny_streams([20]), **ASKED),
        model.generate(streams=tiny_streams([20]), **ASKED),
    )
    flags = [{n for n, p in m.named_parameters() if p.requires_grad} for m in (model, again)]
    assert flags[0] == flags[1]
    video = torch.randn(1, 6, 1, 88, 88)
    with torch.no_grad():
        features = [m.encode(video_values=video).video.features for m in (model, again)]
        assert torch.equal(*features)


def test_search_defaults_stand_beside_the_weights(tmp_path):
    model = tiny_model(audio_ctc=True, video_ctc=True)
    model.generation_config.num_beams, model.generation_config.ctc_weight = 3, 0.25
    model.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "generation_config.json").read_text())
    assert (stored["num_beams"], stored["ctc_weight"]) == (3, 0.25)
    _, settings = load(tmp_path).search_inputs(streams=tiny_streams([20]), **ASKED)
    assert (settings.options.num_beams, settings.options.ctc_weight) == (3, 0.25)
    _, settings = load(tmp_path).search_inputs(streams=tiny_streams([20]), **ASKED, num_beams=2)
    assert (settings.options.num_beams, settings.options.ctc_weight) == (2, 0.25)


def test_folders_of_older_versions_are_read(tmp_path):
    """They kept search defaults and the weight of a training loss in the configuration."""
    model = tiny_model(audio_ctc=True, video_ctc=True)
    model.save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"default_beams": 8, "default_ctc_weight": 0.5}
    config |= {"decorrelation_weight": 0.1, "decorrelation_layers": "paper"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    again = load(tmp_path)
    assert (again.generation_config.num_beams, again.generation_config.ctc_weight) == (8, 0.5)
    assert again.generation_config.eos_token_id == EOS
    assert torch.equal(logits(again), logits(model))
    again.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert not [name for name in saved if name.startswith(("default_", "decorrelation_"))]
    assert load(tmp_path).generation_config.num_beams == 8


def test_a_loaded_model_can_be_trained_and_saved_over_itself(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    model = load(tmp_path).train()
    model(
        streams=tiny_streams([20, 13]), labels=torch.tensor([[5, 2], [6, 2]]), **ASKED
    ).loss.backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).step()
    model.eval().save_pretrained(tmp_path)
    assert torch.equal(logits(load(tmp_path)), logits(model))


def test_half_precision_on_disk_only(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path, storage_dtype=torch.float16)
    stored = load_file(tmp_path / "model.safetensors")
    assert {t.dtype for t in stored.values() if t.is_floating_point()} == {torch.float16}
    again = load(tmp_path)
    assert again.dtype == torch.float32
    torch.testing.assert_close(logits(again), logits(model), atol=0.1, rtol=0.05)
    assert load(tmp_path, dtype="float16").dtype == torch.float16


def test_shards_are_read_and_replaced_by_one_file(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    whole = load_file(tmp_path / "model.safetensors")
    half = len(whole) // 2
    weight_map = {}
    for number, names in enumerate((list(whole)[:half], list(whole)[half:]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: whole[name] for name in names}, tmp_path / file)
        weight_map.update(dict.fromkeys(names, file))
    (tmp_path / "model.safetensors").unlink()
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert torch.equal(logits(load(tmp_path)), logits(model))
    load(tmp_path).save_pretrained(tmp_path)
    assert [file.name for file in tmp_path.glob("model*")] == ["model.safetensors"]
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(FileNotFoundError, match="model-00001-of-00002"):
        load(tmp_path)


def test_configuration_changes_on_loading(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    rounded = load(tmp_path, official_numerics=True)
    frequencies = rounded.language_model.model.rotary_emb.inv_freq
    assert torch.equal(frequencies, frequencies.bfloat16().float())


def change(folder: Path, **changes):
    file = folder / "model.safetensors"
    tensors = {**load_file(file), **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, file)


def test_every_mismatch_is_named(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    norm = "language_model.model.norm.weight"
    change(
        tmp_path, **{norm: torch.ones(7), "extra": torch.ones(1), "audio_encoder.conv1.bias": None}
    )
    with pytest.raises(ValueError, match="does not fit") as error:
        load(tmp_path)
    message = str(error.value)
    assert f"{norm} is [7], expected [24]" in message
    assert "unknown: extra" in message
    assert "missing: audio_encoder.conv1.bias" in message
    assert "\n" not in message


def test_damaged_and_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load(tmp_path)
    tiny_model().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="is no folder, and cannot be fetched"):
        load("nobody/no-such-model", local_files_only=True)


def test_folded_weights_are_not_saved(tmp_path):
    model = tiny_model()
    model.fold_lora(adapters_of(model.config, Route.parse("A4 V2")))
    with pytest.raises(ValueError, match="unfold"):
        model.save_pretrained(tmp_path)


@pytest.fixture(scope="module")
def bases(tmp_path_factory, tiny_folder):
    """Folders of a language model with its tokenizer, a Whisper and an AV-HuBERT."""
    folder = tmp_path_factory.mktemp("bases")
    torch.manual_seed(3)
    config = tiny_config()
    text = config.text_config.to_dict() | {"vocab_size": 27, "tie_word_embeddings": True}
    LlamaForCausalLM(LlamaConfig.from_dict(text)).save_pretrained(folder / "text")
    full = PreTrainedTokenizerFast.from_pretrained(tiny_folder)
    vocabulary = json.loads(full.backend_tokenizer.to_str())
    vocabulary["model"]["vocab"] = {
        token: index for token, index in vocabulary["model"]["vocab"].items() if index < 27
    }
    vocabulary["added_tokens"] = [t for t in vocabulary["added_tokens"] if t["id"] < 27]
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(vocabulary)),
        unk_token="<unk>", bos_token="<s>", eos_token="</s>",
    ).save_pretrained(folder / "text")  # fmt: skip
    audio = config.audio_config.to_dict() | {
        "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "vocab_size": 30,
        "max_target_positions": 8, "pad_token_id": 0, "decoder_start_token_id": 1,
    }  # fmt: skip
    WhisperModel(WhisperConfig.from_dict(audio)).save_pretrained(folder / "audio")
    AvHubertEncoder(config.video_config).save_pretrained(folder / "video")
    return folder


def test_a_new_model_around_base_models(bases, tmp_path):
    config, processor = configure(
        bases / "text", bases / "audio", bases / "video",
        lora_strategy="shared+per_rate", lora_rank=2, projector_hidden_size=8,
        local_files_only=True,
    )  # fmt: skip
    assert config.text_config.vocab_size == 32
    assert config.pad_token_id == 27
    assert config.audio_config.d_model == 16
    assert (config.prompt_ids or {})["audio"] == processor.tokenizer(
        "Transcribe speech to text.", add_special_tokens=False
    )["input_ids"]
    model: Any = AvsrForConditionalGeneration(config)
    load_base_models(model, local_files_only=True)
    base: Any = LlamaForCausalLM.from_pretrained(bases / "text")
    ours = model.language_model.get_input_embeddings().weight
    assert torch.equal(ours[:27], base.get_input_embeddings().weight)
    assert model.language_model.get_output_embeddings().weight is ours
    projection = model.language_model.model.layers[1].self_attn.q_proj
    expected = base.model.layers[1].self_attn.q_proj.weight
    assert torch.equal(projection.base_layer.weight, expected)
    assert all(p.requires_grad for p in model.lora.parameters())

    with torch.no_grad():
        for parameter in model.lora.parameters():
            parameter.normal_(std=0.3)
    model.eval().save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert sum(tensor.numel() for tensor in stored.values()) < 5000
    assert not any(name.startswith(("audio_encoder", "language_model")) for name in stored)
    again = load(tmp_path, local_files_only=True)
    assert torch.equal(logits(again), logits(model))
    assert again.language_model.get_output_embeddings().weight is (
        again.language_model.get_input_embeddings().weight
    )


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")  # peft asks transformers for it
def test_adapters_are_peft_folders(bases, tmp_path):
    config, _ = configure(bases / "text", bases / "audio", None, lora_rank=2, local_files_only=True)
    model: Any = AvsrForConditionalGeneration(config)
    load_base_models(model, local_files_only=True)
    with torch.no_grad():
        for parameter in model.lora.parameters():
            parameter.normal_(std=0.3)
    model.save_pretrained(tmp_path)
    base: Any = LlamaForCausalLM.from_pretrained(bases / "text")
    base.resize_token_embeddings(32)
    adapted = PeftModel.from_pretrained(base, tmp_path / "lora" / "shared").eval()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        expected = model.eval().language_model(ids).logits[..., :27]
        torch.testing.assert_close(adapted(ids).logits[..., :27], expected)


def test_tied_ctc_spells_with_the_base_models_vocabulary(bases, tmp_path):
    config, processor = configure(
        bases / "text", bases / "audio", None, lora_rank=2, audio_ctc="tied",
        ctc_pieces=[5, 3, 16], local_files_only=True,
    )  # fmt: skip
    names = processor.tokenizer.convert_ids_to_tokens([5, 3, 16, 26, 17])
    assert names == ["place", "bin", "word1", "word11", "word2"]
    model: Any = AvsrForConditionalGeneration(config)
    load_base_models(model, local_files_only=True)
    model.eval().save_pretrained(tmp_path)
    again = load(tmp_path, local_files_only=True)
    for pieces in (model.ctc_pieces, again.ctc_pieces):
        assert pieces.spell([5, 3, 26, 17, 1, 28]) == [[0], [1], [2], [], [], []]
    assert torch.equal(again.audio_ctc_head.blank_vector, model.audio_ctc_head.blank_vector)


def test_trained_parts_need_a_named_language_model(tmp_path):
    with pytest.raises(ValueError, match="does not name the language model"):
        tiny_model().save_pretrained(tmp_path, self_contained=False)


def test_an_encoder_that_no_base_model_is_named_for_is_stored(bases, tmp_path):
    config, _ = configure(
        bases / "text", bases / "audio", bases / "video", lora_rank=2, local_files_only=True
    )
    config.base_models = {k: v for k, v in (config.base_models or {}).items() if k != "video"}
    model: Any = AvsrForConditionalGeneration(config)
    load_base_models(model, local_files_only=True)
    model.eval().save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert any(name.startswith("video_encoder.") for name in stored)
    assert not any(name.startswith(("audio_encoder.", "language_model.")) for name in stored)
    assert torch.equal(logits(load(tmp_path, local_files_only=True)), logits(model))


def test_a_missing_adapter_is_named(bases, tmp_path):
    config, _ = configure(bases / "text", None, bases / "video", lora_rank=2, local_files_only=True)
    model: Any = AvsrForConditionalGeneration(config)
    model.save_pretrained(tmp_path)
    (tmp_path / "lora" / "shared" / "adapter_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lora.shared.adapter_model"):
        load(tmp_path, local_files_only=True)


def test_a_self_contained_folder_forgets_its_base_models(bases, tmp_path):
    config, _ = configure(bases / "text", None, bases / "video", lora_rank=2, local_files_only=True)
    model = AvsrForConditionalGeneration(config).eval()
    model.save_pretrained(tmp_path, self_contained=True)
    assert AvsrConfig.from_pretrained(tmp_path).base_models == {}
    assert torch.equal(logits(load(tmp_path), modality="video"), logits(model, modality="video"))


LOAD_AND_MEASURE = """
import re, sys
from pathlib import Path
from avsr.model import AvsrForConditionalGeneration
from tests.tiny import tiny_streams, tiny_model
import tempfile

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

with tempfile.TemporaryDirectory() as warm_up:  # what any first load and call costs
    tiny_model().save_pretrained(warm_up)
    AvsrForConditionalGeneration.from_pretrained(warm_up)(streams=tiny_streams([20]), modality="av")
before = peak()
model = AvsrForConditionalGeneration.from_pretrained(sys.argv[1])
model(streams=tiny_streams([20]), modality="av")
total = sum(float(p.detach().sum()) for p in model.parameters())  # every page is touched
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_loading_peaks_below_1_2_times_the_folders_size(tmp_path):
    text = tiny_config().text_config.to_dict() | {
        "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 3,
    }  # fmt: skip
    model = AvsrForConditionalGeneration(tiny_config(text_config=text))
    model.save_pretrained(tmp_path)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size > 100_000_000
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AND_MEASURE, str(tmp_path)],
        capture_output=True, text=True, check=True, env=_environment(),
    )  # fmt: skip
    grown = int(done.stdout.split()[-1]) * 1024
    assert 0.9 * size < grown < 1.2 * size


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

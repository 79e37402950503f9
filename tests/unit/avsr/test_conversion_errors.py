"""Whatever is wrong with a checkpoint or its base models is said in one line; nothing is left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from avsr.cli import run
from tests.published import HIDDEN, Published, Recipe


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path, Recipe(prompts=True, avhubert_lora=True))


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Convert, expect an exit code, and return the one line that says why."""

    def convert(published: Published, exit_code: int, *changes: object) -> str:
        output = published.folder / "model"
        arguments = [*published.arguments, *changes, "-o", output]
        assert run([str(argument) for argument in arguments]) == exit_code
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1, captured.err
        assert not output.exists()
        assert not [path for path in published.folder.iterdir() if path.name.startswith(".model")]
        return captured.err

    return convert


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_truncated(published: Published, fails: Callable[..., str], kept: float) -> None:
    data = published.file.read_bytes()
    published.file.write_bytes(data[: int(len(data) * kept)])
    assert "truncated or damaged" in fails(published, 1)


def test_changed_byte(published: Published, fails: Callable[..., str]) -> None:
    data = bytearray(published.file.read_bytes())
    weights = published.tensors["audio_encoder.fc1.weight".replace("fc1", "layers.0.fc1")]
    place = data.index(weights.numpy().tobytes()[:32])
    data[place] ^= 1
    published.file.write_bytes(data)
    assert "truncated or damaged (Bad CRC-32" in fails(published, 1)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"RIFF....WAVE" * 9, "is no PyTorch checkpoint"),
        (b"PK\x03\x04" + b"\0" * 99, "truncated or damaged"),
    ],
)
def test_no_checkpoint(
    published: Published, fails: Callable[..., str], contents: bytes, message: str
) -> None:
    published.file.write_bytes(contents)
    assert message in fails(published, 1)


def test_missing_file(published: Published, fails: Callable[..., str]) -> None:
    published.file.unlink()
    assert "No such file" in fails(published, 1)


def test_other_architectures(published: Published, fails: Callable[..., str]) -> None:
    torch.save({"encoder.conv1.weight": torch.ones(2)}, published.file)
    assert "is no audio-visual model" in fails(published, 1)
    torch.save([1, 2, 3], published.file)
    assert "holds no dict of tensors" in fails(published, 1)
    torch.save({"llm.x": torch.ones(2), "epoch": 3}, published.file)
    assert "no tensors: epoch" in fails(published, 1)
    save_file({"a": torch.ones(2)}, published.file)
    assert "is no PyTorch checkpoint" in fails(published, 1)


def test_one_encoder_for_both_streams(published: Published, fails: Callable[..., str]) -> None:
    published.tensors["audiovisual_encoder.mask_emb"] = torch.zeros(4)
    published.save()
    assert "with one AV-HuBERT" in fails(published, 1)


def test_audio_encoder_that_is_no_whisper(published: Published, fails: Callable[..., str]) -> None:
    for name in [name for name in published.tensors if name.startswith("audio_encoder.")]:
        del published.tensors[name]
    published.tensors["audio_encoder.feature_extractor_audio.proj.weight"] = torch.zeros(4)
    published.save()
    assert "is no Whisper encoder (audio_encoder.feature" in fails(published, 1)


def test_without_language_model(published: Published, fails: Callable[..., str]) -> None:
    for name in [name for name in published.tensors if name.startswith("llm.")]:
        if "lora" not in name:
            del published.tensors[name]
    published.save()
    line = fails(published, 1)
    assert "llm.model.embed_tokens.weight is missing" in line
    assert "get the whole checkpoint" in line


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_not_finite(published: Published, fails: Callable[..., str], bad: float) -> None:
    published.tensors["video_proj.2.weight"][3, 5] = bad
    published.save()
    assert f"video_proj.2.weight [{HIDDEN}, 20] has 1 values that are not finite" in fails(
        published, 1
    )


def test_too_large_for_the_type(published: Published, fails: Callable[..., str]) -> None:
    published.tensors["video_proj.2.weight"][3, 5] = 1e6
    published.save()
    assert "not finite in torch.float16" in fails(published, 1, "--dtype", "float16")


def test_leftover_and_missing_tensors(published: Published, fails: Callable[..., str]) -> None:
    extra = published.tensors["llm.model.layers.1.mlp.up_proj.weight"]
    published.tensors["llm.model.layers.1.mlp.odd_proj.weight"] = extra
    published.save()
    assert "has tensors that its base models have no place for: llm.model.layers.1.mlp.odd" in (
        fails(published, 1)
    )
    del published.tensors["llm.model.layers.1.mlp.odd_proj.weight"]
    del published.tensors["llm.model.layers.1.mlp.up_proj.weight"]
    published.save()
    assert "it lacks llm.model.layers.1.mlp.up_proj.weight" in fails(published, 1)


def test_missing_tensor_that_tells_a_size(published: Published, fails: Callable[..., str]) -> None:
    index = published.arguments.index("--audio-encoder")
    published.arguments[index : index + 2] = []  # sizes are then read from the weights
    assert "head count of a Whisper of width 16 is unknown" in fails(published, 1)
    for name in [name for name in published.tensors if name.startswith("audio_encoder.")]:
        del published.tensors[name]
    published.tensors["audio_encoder.conv1.weight"] = torch.zeros(64, 80, 3)
    published.save()
    assert "embed_positions.weight is missing" in fails(published, 1)


def test_language_model_of_other_sizes(published: Published, fails: Callable[..., str]) -> None:
    folder = published.folder / "llm"
    edit_config(folder, hidden_size=32)
    assert "llm.model.embed_tokens.weight is [17, 24], but" in (line := fails(published, 1))
    assert "needs [17, 32]" in line
    edit_config(folder, hidden_size=24, num_key_value_heads=4)
    assert "llm.model.layers.0.self_attn.k_proj.weight is [12, 24], but" in (
        line := fails(published, 1)
    )
    assert "needs [24, 24]" in line
    edit_config(folder, num_key_value_heads=2, num_hidden_layers=3)
    assert "it lacks llm.model.layers.2." in fails(published, 1)
    edit_config(folder, num_hidden_layers=1)
    assert "has tensors that its base models have no place for" in fails(published, 1)


def test_other_vocabulary(published: Published, fails: Callable[..., str]) -> None:
    published.tokenizer.add_tokens(["another"])
    published.tokenizer.save_pretrained(published.folder / "llm")
    line = fails(published, 1)
    assert "llm.model.embed_tokens.weight is [17, 24], but" in line
    assert "needs [18, 24]" in line


def test_other_prompt(published: Published, fails: Callable[..., str]) -> None:
    published.tensors["prompt_video"] = torch.zeros(1, 4, HIDDEN)
    published.save()
    line = fails(published, 1)
    assert "prompt_video is [1, 4, 24], but the tokenizer makes [1, 5, 24]" in line


def test_untied_weights_for_a_tied_model(published: Published, fails: Callable[..., str]) -> None:
    embedding = published.tensors["llm.model.embed_tokens.weight"]
    published.tensors["llm.lm_head.weight"] = embedding + 1
    published.save()
    assert "llm.lm_head.weight and llm.model.embed_tokens.weight [17, 24] differ" in fails(
        published, 1
    )


def test_other_whisper(published: Published, fails: Callable[..., str]) -> None:
    edit_config(published.folder / "whisper", num_mel_bins=128)
    line = fails(published, 1)
    assert "audio_encoder.conv1.weight is [16, 80, 3], but" in line
    assert "needs [16, 128, 3]" in line
    edit_config(published.folder / "whisper", model_type="wavlm")
    assert "is a wavlm, not a whisper model" in fails(published, 1)


def test_other_avhubert(
    published: Published, fails: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = published.folder / "avhubert.pt"
    contents = torch.load(path)
    contents["model"]["encoder.layers.0.fc1.weight"] = torch.zeros(48, 16)
    torch.save(contents, path)
    line = fails(published, 1)
    assert "video_encoder.encoder.layers.0.fc1.weight is [32, 16], but" in line
    assert "has [48, 16]" in line
    torch.save({"model": {"a": torch.ones(1)}}, path)
    assert "is no AV-HuBERT file" in fails(published, 1)
    contents["cfg"]["model"]["encoder_attention_heads"] = 3
    contents["model"]["encoder.layers.0.fc1.weight"] = torch.zeros(32, 16)
    torch.save(contents, path)
    assert "cannot have 3 heads" in fails(published, 1)


def test_base_model_is_not_there(published: Published, fails: Callable[..., str]) -> None:
    line = fails(published, 3, "--language-model", published.folder / "nothing")
    assert "no such folder; give a folder or a hub id" in line
    line = fails(published, 3, "--audio-encoder", "nobody/nothing", "--offline")
    assert "nobody/nothing: cannot be read" in line
    assert line.endswith("(--audio-encoder)\n")


def test_rates(published: Published, fails: Callable[..., str]) -> None:
    index = published.arguments.index("--audio-rates")
    published.arguments[index : index + 2] = []
    assert "pooling rates are not stored" in (line := fails(published, 1))
    assert "--audio-rates" in line
    assert "rates are whole numbers" in fails(published, 2, "--audio-rates", "four")
    assert "different values" in fails(published, 2, "--audio-rates", "4,4")


def test_rates_that_do_not_fit(tmp_path: Path, fails: Callable[..., str]) -> None:
    rates = {"audio": (4, 16), "video": (2, 5)}
    published = Published(tmp_path, Recipe(rates=rates, per_rate=True))
    line = fails(published, 1, "--video-rates", "2,3,5")
    assert "there are 2 video projectors, one for each rate, but --video-rates says 2,3,5" in line
    stacked = Published(tmp_path, Recipe(rates=rates, per_rate=True, stack=True))
    line = fails(stacked, 1, "--video-rates", "5,2")
    assert "takes 2,5 stacked frames, which is the rate; --video-rates says 5,2" in line


def test_all_that_is_lacking_is_named_at_once(
    published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = published.file.rename(published.folder / "checkpoint-without-rates.pth")
    nothing = str(published.folder / "nothing")
    bases = ["--audio-encoder", nothing, "--video-encoder", nothing]
    assert run(["convert", str(renamed), *bases]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("avsr: 6 things are wrong: (1) the folder to make is needed (--output)")
    assert "its base language model is needed" in line
    assert (
        f"{nothing}: no such folder; give a folder or a hub id owner/name (--audio-encoder)" in line
    )
    assert "No such file" in line
    assert "with --audio-rates" in line
    assert "with --video-rates" in line
    assert line.endswith(". See avsr convert --help.")
    assert run(["convert"]) == 2
    assert "(1) FILE is needed: the checkpoint (2) the folder" in capsys.readouterr().err


def test_output_that_is_something_else(
    published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    output = published.folder / "home"
    output.mkdir()
    (output / "thesis.tex").touch()
    assert run([*map(str, published.arguments), "-o", str(output)]) == 2
    assert "not as an earlier run left it" in capsys.readouterr().err
    assert (output / "thesis.tex").exists()


def test_model_folder_is_replaced(published: Published) -> None:
    output = str(published.folder / "model")
    arguments = [*map(str, published.arguments), "-o", output]
    assert run(arguments) == 0
    old = Path(output) / "model-00001-of-00002.safetensors"
    old.touch()
    assert run(arguments) == 0
    assert not old.exists()


def test_what_lies_in_a_model_folder_besides_is_kept(
    published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    output = published.folder / "model"
    arguments = [*map(str, published.arguments), "-o", str(output)]
    assert run(arguments) == 0
    (output / "notes.txt").write_text("mine")
    assert run(arguments) == 2
    assert (output / "notes.txt").read_text() == "mine"
    (output / "notes.txt").unlink()
    (output / "conversion.json").unlink()  # as a model that was trained
    (output / "config.json").write_text('{"model_type": "avsr", "mine": true}')
    assert run(arguments) == 2
    assert (output / "model.safetensors").stat().st_size > 0
    capsys.readouterr()
    inside = output.parent  # holds the checkpoint that is read
    assert run([*map(str, published.arguments), "-o", str(inside)]) == 2
    assert "which it may not replace" in capsys.readouterr().err

"""Checkpoint files are read without running what is in them, in any form they come in."""

import argparse
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from avsr.cli import run
from avsr.conversion.avhubert import build_video_config
from avsr.conversion.base_configs import guess_audio_config
from avsr.conversion.layout import ProjectorLayout
from avsr.conversion.pickles import Opaque, Storage, StoredTensor, read_torch_file
from avsr.conversion.rates import choose_rates, rates_in_name
from avsr.errors import InputError
from avsr.model_files.tensor_writer import StreamedTensor, write_safetensors
from avsr_frontends.avhubert import AvHubertConfig, AvHubertEncoder
from tests.published import Published, Recipe

NEW_AND_OLD = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])


def saved(contents: Any, folder: Path, zipped: bool = True) -> Path:
    path = folder / "file.pt"
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    return path


def stored(shape: tuple[int, ...]) -> StoredTensor:
    storage = Storage(key="0", dtype=torch.float32, read=bytearray)
    return StoredTensor(shape=shape, dtype=torch.float32, storage=storage, offset=0, stride=())


@NEW_AND_OLD
def test_tensors_are_read_exactly(tmp_path: Path, zipped: bool) -> None:
    shared = torch.arange(12.0)
    tensors = OrderedDict(
        transposed=torch.randn(3, 5).t(),
        part=shared[2:7],
        whole=shared,
        parameter=torch.nn.Parameter(torch.randn(4)),
        scalar=torch.tensor(3),
        empty=torch.zeros(0, 4),
        **{
            str(dtype): torch.ones(3).to(dtype)
            for dtype in (torch.bfloat16, torch.half, torch.bool)
        },
    )
    read = read_torch_file(saved({"state_dict": tensors, "epoch": 7}, tmp_path, zipped))
    assert read["epoch"] == 7
    for name, tensor in tensors.items():
        stored = read["state_dict"][name]
        assert isinstance(stored, StoredTensor)
        assert (stored.shape, stored.dtype) == (tuple(tensor.shape), tensor.dtype)
        assert torch.equal(stored.read(), tensor.detach())
    assert not read["state_dict"]["part"].same_as(read["state_dict"]["whole"])


@NEW_AND_OLD
def test_equal_storage_is_seen(tmp_path: Path, zipped: bool) -> None:
    tensor = torch.ones(2, 3)
    read = read_torch_file(saved({"a": tensor, "b": tensor, "c": tensor.clone()}, tmp_path, zipped))
    assert read["a"].same_as(read["b"])
    assert not read["a"].same_as(read["c"])


class Command:
    """Runs a command when unpickled as usual."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


class Chain(Command):
    """Reaches for a function through attributes."""

    def __reduce__(self) -> tuple:
        return getattr, (self.marker, "touch")


@NEW_AND_OLD
@pytest.mark.parametrize("kind", [Command, Chain])
def test_pickled_code_is_not_run(tmp_path: Path, zipped: bool, kind: type[Command]) -> None:
    marker = tmp_path / "executed"
    path = saved({"weight": torch.ones(2), "odd": [kind(marker), kind(marker)]}, tmp_path, zipped)
    read = read_torch_file(path)
    assert torch.equal(read["weight"].read(), torch.ones(2))
    assert isinstance(read["odd"][0], Opaque)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the same file does run it when loaded as usual
    assert marker.exists() == (kind is Command)


def test_a_plain_pickle_is_not_run_either(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Command(marker)))
    with pytest.raises(InputError, match="is no PyTorch checkpoint"):
        read_torch_file(path)
    assert not marker.exists()


class Marker:
    """A key of an unknown class."""


def test_unknown_objects_keep_their_state(tmp_path: Path) -> None:
    options = argparse.Namespace(encoder_layers=24)
    contents = {
        "args": options,
        "kinds": {Marker(): {1, 2}},
        "size": torch.Size([3]),
    }
    read = read_torch_file(saved(contents, tmp_path))
    assert read["args"].state == {"encoder_layers": 24}
    assert next(iter(read["kinds"].values())) == {1, 2}
    assert read["size"] == (3,)


def test_a_tensor_beyond_its_data(tmp_path: Path) -> None:
    stored = read_torch_file(saved({"a": torch.ones(4)}, tmp_path))["a"]
    larger = StoredTensor(
        shape=(8,), dtype=stored.dtype, storage=stored.storage, offset=0, stride=(1,)
    )
    with pytest.raises(InputError, match="exceeds its data"):
        larger.read()


def test_written_tensors_are_aligned_and_whole(tmp_path: Path) -> None:
    tensors = {
        "flag": torch.tensor([True, False, True]),
        "half": torch.randn(5).half(),
        "long": torch.arange(3),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "turned": torch.randn(2, 3).t(),
    }
    entries = [
        StreamedTensor(name=name, dtype=t.dtype, shape=tuple(t.shape), read=lambda t=t: t)
        for name, t in tensors.items()
    ]
    path = tmp_path / "model.safetensors"
    assert write_safetensors(path, entries) == path.stat().st_size
    with safe_open(path, framework="pt") as file:
        assert sorted(file.keys()) == sorted(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(file.get_tensor(name), tensor)


@pytest.mark.parametrize(
    ("name", "streams", "per_rate", "audio", "video"),
    [
        ("ASR_Whisper-M_Llama3.1-8B_lrs3vox_down3_seed42.pth", "a", False, [3], None),
        ("VSR_AVH-L_Llama3.1-8B_lrs3vox_down3_seed42", "v", False, None, [3]),
        ("AVSR_Whisper-M_AVH-L_Llama3.1-8B_lrs3vox_Adown4_Vdown2_seed42", "av", False, [4], [2]),
        ("VSR_LRS3_avg-pooling_LoRA_Llama3.2-3B_Vdown5_sink_loss.pth", "v", False, None, [5]),
        ("ASR_LRS2_avg-pooling_AVH-Large_LoRA_Llama3.2-3B_Adown32.pth", "a", False, [32], None),
        ("LRS3_OmniAVSR_LoRA_pool-audio4-16_video2-5_LN_seed7.pth", "av", True, [4, 16], [2, 5]),
        ("LRS3_OmniAVSR_LoRA_pool-audio4-16_video2-5_LN_seed7/model_avg_1.pth", "av", True, [4, 16],
         [2, 5]),
        ("LRS3_audiovisual_avg-pooling_pool-4-2_LN_seed7.pth", "av", False, [4], [2]),
        ("LRS3_audio_avg-pooling_pool-16_LN_seed7.pth", "a", False, [16], None),
        ("LRS3_audiovisual_Matry_avg-pool_pool-2-5_LN_seed42.pth", "av", True, None, None),
        ("model_avg_4.pth", "av", False, None, None),
    ],
)  # fmt: skip
def test_rates_in_names(
    name: str, streams: str, per_rate: bool, audio: list[int] | None, video: list[int] | None
) -> None:
    expected = {"audio": audio, "video": video}
    for stream in ("audio", "video"):
        if stream[0] in streams:
            found = rates_in_name(
                stream, Path("/models") / name, only_stream=len(streams) == 1, per_rate=per_rate
            )
            assert found == expected[stream]


def test_rates_said_win_over_the_name() -> None:
    projectors = ProjectorLayout(per_rate=True, input_sizes=(8, 8), hidden_size=4, layer_norm=False)
    path = Path("pool-audio4-16_video2-5.pth")
    chosen = choose_rates("audio", projectors, None, [2, 8], path, only_stream=False)
    assert chosen == [2, 8]


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path, Recipe(streams=("video",), norm_first=False))


def test_avhubert_file_becomes_an_encoder(published: Published) -> None:
    output = published.folder / "encoder"
    assert run(["convert", str(published.folder / "avhubert.pt"), "-o", str(output)]) == 0
    encoder = AvHubertEncoder.from_pretrained(output)
    assert not encoder.config.layer_norm_first
    assert encoder.config.num_attention_heads == 2
    stored = torch.load(published.folder / "avhubert.pt")["model"]
    state = encoder.state_dict()
    assert set(stored) - set(state) == {"mask_emb"}
    for name, tensor in state.items():
        assert torch.equal(tensor, stored[name]), name


def test_avhubert_folder_serves_as_base_encoder(published: Published) -> None:
    encoder, model = published.folder / "encoder", published.folder / "model"
    assert run(["convert", str(published.folder / "avhubert.pt"), "-o", str(encoder)]) == 0
    arguments = [*published.arguments, "--video-encoder", encoder, "-o", model]
    assert run([str(argument) for argument in arguments]) == 0
    assert (model / "model.safetensors").is_file()


@NEW_AND_OLD
def test_fine_tuned_and_older_avhubert_files(published: Published, zipped: bool) -> None:
    path = published.folder / "avhubert.pt"
    contents = torch.load(path)
    settings = argparse.Namespace(**contents["cfg"]["model"])
    older = {"args": settings, "cfg": None, "model": contents["model"]}
    fine_tuned = {
        "cfg": {"model": {"w2v_args": {"model": contents["cfg"]["model"]}}},
        "model": {f"encoder.w2v_model.{k}": v for k, v in contents["model"].items()}
        | {"decoder.embed_tokens.weight": torch.ones(3, 4)},
    }
    for index, changed in enumerate((older, fine_tuned)):
        output = published.folder / f"encoder{index}"
        path = saved(changed, published.folder, zipped)
        assert run(["convert", str(path), "-o", str(output)]) == 0
        assert AvHubertEncoder.from_pretrained(output).config.num_attention_heads == 2


def test_published_sizes_need_no_encoder_files() -> None:
    """Heads of 64 features are assumed where no base encoder is given, and that is said."""
    shapes = {
        "encoder.layer_norm.weight": (1024,),
        "post_extract_proj.weight": (1024, 2048),
        "encoder.pos_conv.0.weight_v": (1024, 64, 128),
        "encoder.layers.23.fc1.weight": (4096, 1024),
        "encoder.layers.0.fc1.weight": (4096, 1024),
        "feature_extractor_audio.proj.weight": (1024, 104),
        "feature_extractor_video.resnet.frontend3D.0.weight": (64, 1, 5, 7, 7),
        "feature_extractor_video.resnet.frontend3D.2.weight": (64,),
        **{
            f"feature_extractor_video.resnet.trunk.layer{stage}.1.conv2.weight": (width,) * 2
            for stage, width in enumerate((64, 128, 256, 512), start=1)
        },
        **{
            f"feature_extractor_video.resnet.trunk.layer{stage}.0.conv2.weight": (width,) * 2
            for stage, width in enumerate((64, 128, 256, 512), start=1)
        },
        "encoder.layers.0.self_attn.lora_down_Q.weight": (64, 1024),
    }
    tensors = {name: stored(shape) for name, shape in shapes.items()}
    config, notes = build_video_config(tensors, {}, Path("large.pt"))
    assert len(notes) == 1
    large = AvHubertConfig(
        lora_bottleneck=64, resnet_channels=[64, 64, 128, 256, 512], resnet_blocks=[2, 2, 2, 2]
    )
    assert config.to_dict() == large.to_dict()
    whisper = guess_audio_config(
        {
            "conv1.weight": stored((1024, 80, 3)),
            "embed_positions.weight": stored((1500, 1024)),
            "layers.0.fc1.weight": stored((4096, 1024)),
            "layers.23.fc1.weight": stored((4096, 1024)),
        },
        Path("medium.pt"),
    )
    assert (whisper.encoder_layers, whisper.encoder_attention_heads) == (2, 16)

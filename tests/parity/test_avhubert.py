"""AV-HuBERT against tensors computed by the official code."""

from typing import Any

import numpy as np
import pytest
import torch

from avsr_frontends.avhubert import AvHubertConfig, AvHubertEncoder
from tests.shared import GOLDEN

FOLDER = GOLDEN / "avhubert-video-prenorm"
UNUSED = {"mask_emb", "label_embs_concat", "final_proj.weight", "final_proj.bias"}
pytestmark = pytest.mark.shared


def load_encoder(**overrides: Any) -> AvHubertEncoder:
    config = AvHubertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        resnet_channels=[4, 4, 8, 16, 32],
        **overrides,
    )
    encoder = AvHubertEncoder(config).eval()
    weights = torch.load(FOLDER / "avhubert.pt", weights_only=True)["model"]
    weights = {name: value for name, value in weights.items() if name not in UNUSED}
    if config.lora_bottleneck:
        weights |= torch.load(FOLDER / "lora.pth", weights_only=True)
    encoder.load_state_dict(weights)
    return encoder


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    with np.load(FOLDER / "expected.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def streams() -> tuple[torch.Tensor, torch.Tensor]:
    with np.load(FOLDER / "inputs.npz") as arrays:
        crops = torch.from_numpy(arrays["mouth_u8"]).float()
        filterbanks = torch.from_numpy(arrays["audio_logfbank_B_104_T"]).transpose(1, 2)
        check = torch.from_numpy(arrays["video_frames_check"])
    grey = crops[:, :, 4:92, 4:92] / 255 * (0.2989 + 0.587 + 0.114)
    video = ((grey - 0.421) / 0.165)[:, :, None]
    torch.testing.assert_close(video[:, [0, -1]], check, atol=1e-5, rtol=0)
    return video, filterbanks


@torch.no_grad()
@pytest.mark.parametrize("name", ["video_only", "audio_only", "audio_and_video"])
def test_features_match(name: str, expected: dict, streams: tuple) -> None:
    video, audio = streams
    features = load_encoder()(
        video if "video" in name else None, audio if "audio" in name else None
    )
    torch.testing.assert_close(features, expected[name], atol=1e-5, rtol=0)


@torch.no_grad()
def test_lora_matches(expected: dict, streams: tuple) -> None:
    features = load_encoder(lora_bottleneck=2)(streams[0])
    torch.testing.assert_close(features, expected["video_only_lora"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_front_end_matches(expected: dict, streams: tuple) -> None:
    # Sums reach 45 here, so float32 kernels of two processors differ by more than 1e-5.
    front_end = load_encoder().double().feature_extractor_video
    resnet = front_end.resnet(streams[0].double())
    for found, name in (
        (resnet, "resnet_out_B_C_T"),
        (front_end.proj(resnet), "video_proj_out_B_C_T"),
    ):
        wanted = expected[name].transpose(1, 2).double()
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)

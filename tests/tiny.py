"""Tiny configurations, models and inputs that the suites share."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, WhisperConfig

from avsr.config import AvsrConfig
from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.streams import EncodedStream, EncodedStreams
from avsr_frontends.avhubert import AvHubertConfig

VOCAB_SIZE = 32
BOS, EOS, PAD = 1, 2, 27
TOKENS = {
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "pad_token_id": PAD,
    "audio_start_token_id": 28,
    "audio_end_token_id": 29,
    "video_start_token_id": 30,
    "video_end_token_id": 31,
}
PROMPT_IDS = {"audio": [3, 4, 5], "video": [3, 6, 5], "av": [3, 4, 7, 6, 5]}


def tiny_config(**changes: Any) -> AvsrConfig:
    """A whole model of a few thousand parameters; ``changes`` are AvsrConfig fields."""
    settings: dict[str, Any] = {
        "audio_config": WhisperConfig(
            d_model=16,
            encoder_layers=1,
            encoder_attention_heads=2,
            encoder_ffn_dim=32,
            num_mel_bins=80,
            max_source_positions=1500,
        ),
        "video_config": AvHubertConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            positional_conv_kernel=8,
            positional_conv_groups=4,
            resnet_channels=(4, 4, 4, 4, 4),
            picture_size=44,
            patch_stem=True,
        ),
        "text_config": LlamaConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=False,
            initializer_range=0.3,
            bos_token_id=BOS,
            eos_token_id=EOS,
        ),
        "projector_hidden_size": 20,
        "lora_rank": 4,
        "lora_scaling": 0.5,
        "prompt_ids": PROMPT_IDS,
        **TOKENS,
    }
    return AvsrConfig(**{**settings, **changes})


def tiny_model(seed: int = 0, **changes: Any) -> Any:
    """A model in evaluation mode whose output depends on its streams and its adapters."""
    torch.manual_seed(seed)
    model = AvsrForConditionalGeneration(tiny_config(**changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or ".lora_up_" in name:
                parameter.normal_(std=0.5)
            elif "projector" in name:
                parameter.mul_(4)
            elif "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
    return model


def draft_model() -> AvsrForConditionalGeneration:
    """A model whose prompt may hold a draft."""
    torch.manual_seed(0)
    config = tiny_config()
    config.draft_prompt_ids = [[5, 6], [7]]
    return AvsrForConditionalGeneration(config).eval()


def sound_inputs(n_clips: int) -> dict[str, Tensor]:
    """Log-mel of clips of one second, all real."""
    generator = torch.Generator().manual_seed(1)
    return {"input_features": torch.randn(n_clips, 80, 100, generator=generator)}


def tiny_inputs() -> dict[str, Tensor]:
    """The processor's outputs of two clips of 20 and 18 video frames."""
    generator = torch.Generator().manual_seed(0)
    return {
        "input_features": torch.randn(2, 80, 80, generator=generator),
        "audio_lengths": torch.tensor([12_800, 12_800]),
        "video_values": torch.randn(2, 20, 1, 88, 88, generator=generator),
        "video_lengths": torch.tensor([20, 18]),
    }


def tiny_streams(lengths: list[int], seed: int = 0) -> EncodedStreams:
    """Encoder outputs of clips of so many video frames (two audio frames each)."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    return EncodedStreams(
        audio=EncodedStream(
            stream="audio",
            features=torch.randn(len(lengths), 2 * longest, 16, generator=generator),
            lengths=torch.tensor([2 * n for n in lengths]),
        ),
        video=EncodedStream(
            stream="video",
            features=torch.randn(len(lengths), longest, 16, generator=generator),
            lengths=torch.tensor(lengths),
        ),
    )


def clip_of(streams: EncodedStreams, row: int) -> EncodedStreams:
    """One clip of :func:`tiny_streams`, without padding."""
    single = streams.rows([row])
    return EncodedStreams(
        **{
            stream.stream: replace(stream, features=stream.features[:, : int(stream.lengths)])
            for stream in single.present
        }
    )

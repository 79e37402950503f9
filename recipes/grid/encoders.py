"""The two miniature encoders of grid-tiny, built from the project's own classes."""

import torch
from transformers import WhisperConfig

from avsr_frontends.avhubert import AvHubertConfig, AvHubertEncoder
from avsr_frontends.whisper import WhisperAudioEncoder

ENCODER_WIDTH = 144


def audio_encoder_config() -> WhisperConfig:
    """A Whisper encoder of 1.3 M parameters."""
    return WhisperConfig(
        d_model=ENCODER_WIDTH,
        encoder_layers=4,
        encoder_attention_heads=4,
        encoder_ffn_dim=576,
        num_mel_bins=80,
        max_source_positions=800,
        dropout=0.1,
        vocab_size=64,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=576,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )


def video_encoder_config() -> AvHubertConfig:
    """An AV-HuBERT of 1.0 M parameters with a patch stem on the central 64 pixels."""
    return AvHubertConfig(
        hidden_size=ENCODER_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=576,
        positional_conv_kernel=32,
        positional_conv_groups=16,
        resnet_channels=[24, 24, 40, 80],
        resnet_blocks=[0, 1, 1],
        resnet_activation="relu",
        patch_stem=True,
        picture_size=64,
        clip_normalisation=True,
    )


def build_encoder(stream: str) -> torch.nn.Module:
    """A fresh encoder of the "audio" or the "video" stream."""
    if stream == "audio":
        return WhisperAudioEncoder(audio_encoder_config())
    return AvHubertEncoder(video_encoder_config())

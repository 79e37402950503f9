"""From the processor's tensors through the encoders.

Shapes: B batch, T frames, W encoder width, M mel bands, F mel frames.
"""

from typing import Any

import torch
from torch import Tensor

from avsr.config import AvsrConfig
from avsr.model_parts.streams import EncodedStream, frame_mask
from avsr_frontends.audio import audio_frame_count

__all__ = ["encode_audio", "encode_video"]


def encode_audio(
    encoder: Any, config: AvsrConfig, input_features: Tensor, audio_lengths: Tensor | None = None
) -> EncodedStream:
    """Run the audio encoder.

    Args:
        encoder: the model's; None where it cannot hear.
        config: the model's.
        input_features: [B, M, F] log-mel; exact or padded to 30 s, as the config says.
        audio_lengths: [B] samples at 16 kHz; None when every frame is real.

    Raises:
        ValueError: the model has no audio encoder.
    """
    if encoder is None:
        raise ValueError("this model has no audio encoder")
    batch, available = input_features.shape[0], input_features.shape[-1] // 2
    padded = config.audio_context == "padded"
    counts = [available] * batch
    if audio_lengths is not None:
        official = config.official_numerics
        counts = [
            min(available, audio_frame_count(n, padded=padded, official_numerics=official))
            for n in audio_lengths.tolist()
        ]
    frames = torch.tensor(counts, device=input_features.device)
    longest = max(counts)
    input_features = input_features.to(encoder.conv1.weight.dtype)
    if padded:
        features = encoder(input_features)[:, :longest]
    else:
        mask = frame_mask(frames, longest)
        features = encoder(input_features[..., : 2 * longest], frame_mask=mask)
    return EncodedStream(stream="audio", features=features, lengths=frames)


def encode_video(
    encoder: Any, config: AvsrConfig, video_values: Tensor, video_lengths: Tensor | None = None
) -> EncodedStream:
    """Run the video encoder.

    Args:
        encoder: the model's; None where it cannot see.
        config: the model's.
        video_values: [B, T, 1, 88, 88] normalised mouth crops.
        video_lengths: [B] frames; None when every frame is real.

    Raises:
        ValueError: the model has no video encoder.
    """
    if encoder is None:
        raise ValueError("this model has no video encoder")
    batch, available = video_values.shape[:2]
    if video_lengths is None:
        video_lengths = torch.full((batch,), available)
    frames = video_lengths.to(video_values.device).clamp(max=available)
    if config.trim_video_to_rate:
        rate = config.video_rates[0]
        frames = torch.where(frames >= rate, frames // rate * rate, frames)
    longest = int(frames.max())
    video_values = video_values[:, :longest].to(encoder.dtype)
    features = encoder(video_values, frame_mask=frame_mask(frames, longest))
    return EncodedStream(stream="video", features=features, lengths=frames)

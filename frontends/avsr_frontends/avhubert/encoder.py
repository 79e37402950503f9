"""The AV-HuBERT encoder, with the module names of the published weights.

Implemented from the papers (Shi et al., arXiv 2201.02184 and 2201.01763). Shapes: B batch,
T frames at 25 per second, D hidden size.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from avsr_frontends.avhubert.config import AvHubertConfig
from avsr_frontends.avhubert.resnet import VideoResNet, normalise_clip


class AudioFeatures(nn.Module):
    """Project stacked log filterbanks [B, T, F] to [B, T, D]."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        self.proj = nn.Linear(config.audio_feature_size, config.hidden_size)

    def forward(self, audio_features: Tensor) -> Tensor:
        return self.proj(audio_features)


class VideoFeatures(nn.Module):
    """Turn mouth pictures [B, T, 1, H, W] into [B, T, D]."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        self.resnet = VideoResNet(config)
        self.proj = nn.Linear(config.resnet_channels[-1], config.hidden_size)

    def forward(self, video_values: Tensor) -> Tensor:
        return self.proj(self.resnet(video_values))


class PositionalConvolution(nn.Module):
    """Convolution over time whose weight is normalised per tap (weight_g, weight_v)."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        width, kernel = config.hidden_size, config.positional_conv_kernel
        self.groups = config.positional_conv_groups
        self.weight_g = nn.Parameter(torch.empty(1, 1, kernel))
        self.weight_v = nn.Parameter(torch.empty(width, width // self.groups, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        width, _, kernel = self.weight_v.shape
        nn.init.normal_(self.weight_v, std=math.sqrt(4.0 / (kernel * width)))
        nn.init.zeros_(self.bias)
        if self.weight_v.is_meta:  # nothing to measure, and its norm would load PyTorch's compiler
            return
        with torch.no_grad():
            self.weight_g.copy_(self.weight_v.norm(dim=(0, 1), keepdim=True))

    def forward(self, hidden: Tensor) -> Tensor:
        """Filter [B, T, D] over time; the length stays."""
        weight = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True))
        kernel = weight.shape[-1]
        filtered = functional.conv1d(
            hidden.transpose(1, 2), weight, self.bias, padding=kernel // 2, groups=self.groups
        )
        if kernel % 2 == 0:  # an even kernel yields one frame too many
            filtered = filtered[..., :-1]
        return functional.gelu(filtered).transpose(1, 2)


class SelfAttention(nn.Module):
    """Multi-head attention with optional LoRA on query and value (Llama-AVSR, 2409.12319)."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.dropout = config.dropout
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.lora_scaling = config.lora_scaling
        self.has_lora = config.lora_bottleneck > 0
        if self.has_lora:
            rank = config.lora_bottleneck
            self.lora_down_Q = nn.Linear(width, rank, bias=False)
            self.lora_up_Q = nn.Linear(rank, width, bias=False)
            self.lora_down_V = nn.Linear(width, rank, bias=False)
            self.lora_up_V = nn.Linear(rank, width, bias=False)

    def forward(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Attend within [B, T, D]; ``attention_mask`` is [B, 1, 1, T] bool, true where kept."""
        query, key, value = self.q_proj(hidden), self.k_proj(hidden), self.v_proj(hidden)
        if self.has_lora:
            query = query + self.lora_scaling * self.lora_up_Q(self.lora_down_Q(hidden))
            value = value + self.lora_scaling * self.lora_up_V(self.lora_down_V(hidden))
        heads = [x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (query, key, value)]
        mixed = functional.scaled_dot_product_attention(
            heads[0],
            heads[1],
            heads[2],
            attn_mask=attention_mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """One Transformer layer, norm before or after each block."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        self.layer_norm_first = config.layer_norm_first
        self.self_attn = SelfAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.hidden_size)
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        if self.layer_norm_first:
            normed = self.self_attn_layer_norm(hidden)
            hidden = hidden + self.dropout(self.self_attn(normed, attention_mask))
            return hidden + self.dropout(self._feed_forward(self.final_layer_norm(hidden)))
        hidden = hidden + self.dropout(self.self_attn(hidden, attention_mask))
        hidden = self.self_attn_layer_norm(hidden)
        return self.final_layer_norm(hidden + self.dropout(self._feed_forward(hidden)))

    def _feed_forward(self, hidden: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(hidden)))


class TransformerEncoder(nn.Module):
    """Positional convolution and Transformer layers, [B, T, D] to [B, T, D]."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        self.layer_norm_first = config.layer_norm_first
        self.pos_conv = nn.ModuleList([PositionalConvolution(config)])
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))
        self.layer_norm = nn.LayerNorm(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, frame_mask: Tensor | None) -> Tensor:
        attention_mask = None
        if frame_mask is not None:
            hidden = hidden * frame_mask[..., None]  # what a clip alone sees past its end
            attention_mask = frame_mask[:, None, None, :]
        hidden = hidden + self.pos_conv[0](hidden)
        if not self.layer_norm_first:
            hidden = self.layer_norm(hidden)
        hidden = self.dropout(hidden)
        for layer in self.layers:
            hidden = layer(hidden, attention_mask)
        return self.layer_norm(hidden) if self.layer_norm_first else hidden


class AvHubertEncoder(PreTrainedModel):
    """AV-HuBERT without its pre-training heads."""

    config_class = AvHubertConfig
    main_input_name = "video_values"

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__(config)
        self._no_split_modules = ["EncoderLayer"]
        self.feature_extractor_audio = AudioFeatures(config)
        self.feature_extractor_video = VideoFeatures(config)
        self.layer_norm = nn.LayerNorm(2 * config.hidden_size)
        self.post_extract_proj = nn.Linear(2 * config.hidden_size, config.hidden_size)
        self.dropout_input = nn.Dropout(config.dropout)
        self.encoder = TransformerEncoder(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, PositionalConvolution):
            module.reset_parameters()
        elif isinstance(module, nn.PReLU):
            nn.init.constant_(module.weight, 0.25)
        elif isinstance(module, SelfAttention) and module.has_lora:
            nn.init.zeros_(module.lora_up_Q.weight)
            nn.init.zeros_(module.lora_up_V.weight)

    def forward(
        self,
        video_values: Tensor | None = None,
        audio_features: Tensor | None = None,
        frame_mask: Tensor | None = None,
    ) -> Tensor:
        """Encode pictures, sound or both.

        An absent stream contributes zeros *after* its projection, as in training.

        Args:
            video_values: [B, T, 1, H, W] normalised mouth pictures.
            audio_features: [B, T, F] stacked log filterbanks.
            frame_mask: [B, T] bool, true for real frames; padding then changes nothing. None
                when all frames are real.

        Returns:
            [B, T, D]. Values at padded frames mean nothing.

        Raises:
            ValueError: neither stream is given.
        """
        return self.encoder(self.fuse(video_values, audio_features, frame_mask), frame_mask)

    def fuse(
        self, video_values: Tensor | None, audio_features: Tensor | None, frame_mask: Tensor | None
    ) -> Tensor:
        """Extract, concatenate (audio first) and project the streams to [B, T, D]."""
        video: Tensor | None = None
        audio: Tensor | None = None
        if video_values is not None:
            video = self._see(video_values, frame_mask)
        if audio_features is not None:
            audio = self.feature_extractor_audio(audio_features)
        present = audio if video is None else video
        if present is None:
            raise ValueError("AvHubertEncoder needs video_values, audio_features or both")
        absent = torch.zeros_like(present)
        streams = [absent if stream is None else stream for stream in (audio, video)]
        fused = torch.cat(streams, dim=-1)
        return self.dropout_input(self.post_extract_proj(self.layer_norm(fused)))

    def _see(self, video_values: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Turn pictures into features [B, T, D], on a CPU clip by clip.

        There the pictures of several clips leave the caches, which costs more than small batches
        do. In training BatchNorm needs all clips at once.
        """
        if self.training or video_values.device.type != "cpu":
            return self._see_together(video_values, frame_mask)
        masks = [None] * len(video_values) if frame_mask is None else frame_mask.split(1)
        return torch.cat(
            [
                self._see_together(clip, None if mask is None or mask.all() else mask)
                for clip, mask in zip(video_values.split(1), masks, strict=True)
            ]
        )

    def _see_together(self, video_values: Tensor, frame_mask: Tensor | None) -> Tensor:
        if self.config.clip_normalisation:
            video_values = normalise_clip(video_values, frame_mask)
        elif frame_mask is not None:
            video_values = video_values * frame_mask[:, :, None, None, None]
        return self.feature_extractor_video(video_values)

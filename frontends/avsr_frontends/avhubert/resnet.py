"""The picture front end of AV-HuBERT: one 3-D convolution, then a ResNet on every frame.

Shapes: B batch, T video frames, C channels, H and W pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from avsr_frontends.avhubert.config import AvHubertConfig


def build_activation(name: str, channels: int) -> nn.Module:
    """Return a PReLU with one slope per channel, or a ReLU."""
    return nn.PReLU(channels) if name == "prelu" else nn.ReLU()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; activation after the first norm and after the sum."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = build_activation(activation, out_channels)
        self.relu2 = build_activation(activation, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, frames: Tensor) -> Tensor:
        hidden = self.relu1(self.bn1(self.conv1(frames)))
        hidden = self.bn2(self.conv2(hidden))
        return self.relu2(hidden + self.downsample(frames))


class VideoResNet(nn.Module):
    """Turn grey mouth pictures into one vector per frame, sized by an :class:`AvHubertConfig`."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        channels, activation = config.resnet_channels, config.resnet_activation
        stem = channels[0]
        self.picture_size = config.picture_size
        self.has_max_pooling = not config.patch_stem
        step = 4 if config.patch_stem else 2
        self._taps, self._stride, self._padding = 5, (step, step), (3, 3)
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, stem, (5, 7, 7), stride=(1, step, step), padding=(2, 3, 3), bias=False),
            nn.BatchNorm3d(stem),
            build_activation(activation, stem),
        )
        self.trunk = nn.Module()
        for index, (width, depth) in enumerate(
            zip(channels[1:], config.resnet_blocks, strict=True)
        ):
            stage = nn.Sequential()
            for block in range(depth):
                stride = 2 if index > 0 and block == 0 else 1
                in_channels = channels[index] if block == 0 else width
                stage.append(BasicBlock(in_channels, width, stride, activation))
            self.trunk.add_module(f"layer{index + 1}", stage)

    def forward(self, video_values: Tensor) -> Tensor:
        """Encode [B, T, 1, H, W] into [B, T, C]."""
        batch, n_frames = video_values.shape[:2]
        frames = video_values[:, :, 0]
        if self.picture_size is not None:
            frames = central_square(frames, self.picture_size)
        hidden = self._convolve_in_time(frames)  # [B*T, C, H/2, W/2]
        norm = self.frontend3D.get_submodule("1")
        activation = self.frontend3D.get_submodule("2")
        # BatchNorm3d has one statistic per channel, so a time axis of length one is the same.
        hidden = activation(norm(hidden.unsqueeze(2)).squeeze(2))
        if self.has_max_pooling:
            hidden = functional.max_pool2d(hidden, 3, stride=2, padding=1)
        for stage in self.trunk.children():
            hidden = stage(hidden)
        return hidden.mean(dim=(2, 3)).view(batch, n_frames, -1)

    def _convolve_in_time(self, frames: Tensor) -> Tensor:
        """Apply the 3-D convolution as a 2-D one whose channels are the five frames around each.

        The same products and sums, several times quicker on a CPU.
        """
        weight = self.frontend3D.get_submodule("0").get_parameter("weight")
        if torch.is_autocast_enabled(frames.device.type):  # before the copies, not after
            frames = frames.to(torch.get_autocast_dtype(frames.device.type))
        margin = self._taps // 2
        padded = functional.pad(frames, (0, 0, 0, 0, margin, margin))
        windows = padded.unfold(1, self._taps, 1).flatten(0, 1)  # [B*T, H, W, taps]
        hidden = functional.conv2d(
            windows.permute(0, 3, 1, 2),  # channels last in memory, the quickest for few channels
            weight[:, 0],
            stride=self._stride,
            padding=self._padding,
        )
        return hidden.contiguous()


def central_square(frames: Tensor, size: int) -> Tensor:
    """Cut [..., H, W] to the ``size`` x ``size`` pixels around its centre."""
    top, left = (frames.shape[-2] - size) // 2, (frames.shape[-1] - size) // 2
    return frames[..., top : top + size, left : left + size]


def normalise_clip(video_values: Tensor, frame_mask: Tensor | None) -> Tensor:
    """Remove each pixel's mean over the clip and scale the clip to unit variance.

    Args:
        video_values: [B, T, 1, H, W].
        frame_mask: [B, T] bool, true for real frames, or none when all are real.

    Returns:
        Same shape; padded frames are zero.
    """
    if frame_mask is None:
        centred = video_values - video_values.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=(1, 2, 3, 4), keepdim=True)
        return centred / (variance.sqrt() + 1e-2)
    weight = frame_mask.to(video_values.dtype)[:, :, None, None, None]
    count = weight.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (video_values * weight).sum(dim=1, keepdim=True) / count
    centred = (video_values - mean) * weight
    variance = (centred**2).mean(dim=(2, 3, 4), keepdim=True).sum(dim=1, keepdim=True) / count
    return centred / (variance.sqrt() + 1e-2)

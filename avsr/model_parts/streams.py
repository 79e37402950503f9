"""The audio and video of a batch, before and after the encoders.

Shapes: B batch, T encoder frames, W encoder width, M mel bands, F mel frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avsr_frontends.rates import AUDIO_ENCODER_FPS, VIDEO_FPS


@dataclass(frozen=True, kw_only=True)
class StreamInputs:
    """What a caller gives: processor outputs, or encoder outputs in their place.

    Attributes:
        input_features: [B, M, F] log-mel.
        audio_lengths: [B] samples at 16 kHz.
        video_values: [B, T, 1, 88, 88] normalised mouth crops.
        video_lengths: [B] frames.
        audio_features: [B, T, W] output of the audio encoder.
        audio_frame_lengths: [B] real frames of ``audio_features``; None when all are.
        video_features: [B, T, W] output of the video encoder.
        video_frame_lengths: [B] real frames of ``video_features``; None when all are.
    """

    input_features: Tensor | None = None
    audio_lengths: Tensor | None = None
    video_values: Tensor | None = None
    video_lengths: Tensor | None = None
    audio_features: Tensor | None = None
    audio_frame_lengths: Tensor | None = None
    video_features: Tensor | None = None
    video_frame_lengths: Tensor | None = None

    @property
    def audio(self) -> Tensor | None:
        """The audio stream in the form given, or None."""
        return self.input_features if self.audio_features is None else self.audio_features

    @property
    def video(self) -> Tensor | None:
        """The video stream in the form given, or None."""
        return self.video_values if self.video_features is None else self.video_features

    @property
    def batch_size(self) -> int:
        """Number of clips.

        Raises:
            ValueError: no stream is given, or the two disagree.
        """
        sizes = {len(stream) for stream in (self.audio, self.video) if stream is not None}
        if len(sizes) != 1:
            raise ValueError(
                "neither audio nor video is given"
                if not sizes
                else f"audio and video have different batch sizes: {sorted(sizes)}"
            )
        return sizes.pop()


@dataclass(frozen=True, kw_only=True)
class EncodedStream:
    """One stream after its encoder.

    Attributes:
        features: [B, T, W].
        lengths: [B] real frames.
        fps: frames per second.
    """

    features: Tensor
    lengths: Tensor
    fps: int

    def rows(self, indices: Tensor) -> "EncodedStream":
        """Keep some clips."""
        indices = indices.to(self.features.device)
        return EncodedStream(
            features=self.features[indices], lengths=self.lengths[indices], fps=self.fps
        )


@dataclass(frozen=True, kw_only=True)
class EncodedStreams:
    """Both streams of a batch after their encoders; None for one that no row uses."""

    audio: EncodedStream | None
    video: EncodedStream | None

    def rows(self, indices: Sequence[int]) -> "EncodedStreams":
        """Keep some clips."""
        chosen = torch.tensor(indices)
        return EncodedStreams(
            audio=None if self.audio is None else self.audio.rows(chosen),
            video=None if self.video is None else self.video.rows(chosen),
        )

    def durations_s(self) -> list[float]:
        """Length of each clip in seconds, by its longer stream."""
        lengths = [s.lengths / s.fps for s in (self.audio, self.video) if s is not None]
        return torch.stack(lengths).amax(dim=0).tolist()


def given_audio(inputs: StreamInputs) -> EncodedStream | None:
    """The audio encoder's output, if the caller gave it."""
    return _given(inputs.audio_features, inputs.audio_frame_lengths, AUDIO_ENCODER_FPS)


def given_video(inputs: StreamInputs) -> EncodedStream | None:
    """The video encoder's output, if the caller gave it."""
    return _given(inputs.video_features, inputs.video_frame_lengths, VIDEO_FPS)


def frame_mask(lengths: Tensor, n_frames: int) -> Tensor | None:
    """[B, n_frames] bool, true for real frames; None when all are."""
    if bool((lengths >= n_frames).all()):
        return None
    return torch.arange(n_frames, device=lengths.device) < lengths[:, None]


def _given(features: Tensor | None, lengths: Tensor | None, fps: int) -> EncodedStream | None:
    if features is None:
        return None
    if lengths is None:
        batch, n_frames = features.shape[:2]
        lengths = torch.full((batch,), n_frames)
    return EncodedStream(features=features, lengths=lengths.to(features.device), fps=fps)
